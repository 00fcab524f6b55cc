public import APIModel

/// What controllers ask of the place where API objects live: the agent's own store, or the API server of a cluster.
///
/// Nothing here needs more than a Kubernetes API server offers: versions are opaque, a status that is a subresource is
/// written apart from the rest, watches are of one kind and know no old values, and nothing spans two objects.
/// Every call may be made from any task. Errors are those the API answers: 404 for what is missing, 409 for a write that
/// is based on an older version, 410 for a version that is not remembered any more.
public protocol KubeStore: Sendable {
  /// One object; the namespace of a cluster-wide kind is empty.
  func get(_ kind: ResourceKind, namespace: String, name: String) async throws(StatusError) -> KubeObject
  /// All objects of a kind, in one namespace or (nil) in all of them.
  func list(_ kind: ResourceKind, namespace: String?, labels: LabelSelector) async throws(StatusError) -> KubeList
  /// Some of the objects of a kind in a namespace, by name: about 2 MiB, one at least.
  ///
  /// - Parameter token: ``KubePage/next`` of the page before; nil for the first page.
  func page(_ kind: ResourceKind, namespace: String, after token: String?) async throws(StatusError) -> KubePage
  /// Stores a new object; the answer has its identity and version.
  func create(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) -> KubeObject
  /// Writes an object that was read before: without its status where that is a subresource. Throws 409 when it has been
  /// written since. A change of nothing keeps the version.
  func update(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) -> KubeObject
  /// Writes the status of an object that was read before, for kinds whose status is a subresource; else as ``update(_:_:)``.
  func updateStatus(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) -> KubeObject
  /// Merges a document into an object, whatever its version: null removes a field (RFC 7386). The status is left out where
  /// that is a subresource.
  func patch(_ kind: ResourceKind, namespace: String, name: String, merge: JSONValue) async throws(StatusError)
    -> KubeObject
  /// Deletes an object, or marks it while finalizers keep it.
  func delete(_ kind: ResourceKind, namespace: String, name: String, options: DeleteOptions)
    async throws(StatusError) -> DeleteOutcome
  /// What happens to the objects of a kind after a version that ``list(_:namespace:labels:)`` has given.
  func watch(_ kind: ResourceKind, after version: ResourceVersion) async throws(StatusError) -> any KubeWatch
}

/// A version of an object or a list: opaque. Two of them are the same or not, and none is newer than another.
public struct ResourceVersion: Hashable, Sendable {
  public var text: String

  public init(_ text: String) { self.text = text }
}

/// The objects of a kind, and where a watch goes on from.
public struct KubeList: Sendable {
  public var items: [KubeObject]
  public var version: ResourceVersion

  public init(items: [KubeObject], version: ResourceVersion) {
    self.items = items
    self.version = version
  }
}

/// Something that has happened to an object.
public struct KubeEvent: Sendable {
  public enum Action: Sendable { case added, modified, deleted }

  public var action: Action
  /// The state it has now; of a deleted one the last.
  public var object: KubeObject

  public init(_ action: Action, _ object: KubeObject) {
    self.action = action
    self.object = object
  }
}

/// A watch of one kind. For one task.
public protocol KubeWatch: Sendable {
  /// The next events, waiting for them; nil at the end: the store closed, or the task was cancelled. Throws 410 when events
  /// were missed: the caller lists again.
  func next() async throws(StatusError) -> [KubeEvent]?
}

/// How dependants are treated when their owner goes.
public enum PropagationPolicy: String, Sendable {
  case background = "Background"
  case foreground = "Foreground"
  case orphan = "Orphan"
}

/// How an object is deleted, and which one is meant.
public struct DeleteOptions: Sendable {
  /// nil: as the kind has it.
  public var propagation: PropagationPolicy?
  /// Only the object with this uid.
  public var uid: String?
  /// Only the object in this version.
  public var resourceVersion: String?
  /// Everything but deleting.
  public var dryRun: Bool

  public init(
    propagation: PropagationPolicy? = nil, uid: String? = nil, resourceVersion: String? = nil, dryRun: Bool = false
  ) {
    self.propagation = propagation
    self.uid = uid
    self.resourceVersion = resourceVersion
    self.dryRun = dryRun
  }
}

/// What a deletion has done.
public enum DeleteOutcome: Sendable {
  /// Gone; the last state.
  case deleted(KubeObject)
  /// Marked; finalizers keep it.
  case pending(KubeObject)
}
