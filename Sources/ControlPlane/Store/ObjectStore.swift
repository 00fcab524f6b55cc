public import APIModel

/// Where API objects live. The reconcilers talk to this, whether the objects are embedded or in a real cluster.
///
/// Every call may be made from any task. Errors are those the API answers.
public protocol ObjectStore: Sendable {
  /// One object.
  func get(_ kind: ResourceKind, namespace: String, name: String) async throws(StatusError) -> KubeObject
  /// Objects in the order of namespace and name, with the version of the whole store.
  func list(_ query: ListQuery) async throws(StatusError) -> ObjectList
  /// Stores a new object and gives it identity and version; with `dryRun` everything but storing.
  func create(_ kind: ResourceKind, _ object: KubeObject, dryRun: Bool) async throws(StatusError) -> KubeObject
  /// Changes an object in one transaction; `change` sees the stored object and returns the wanted one.
  ///
  /// A wanted object that carries a `resourceVersion` must carry the stored one. A change of nothing keeps the version.
  func update(
    _ kind: ResourceKind, namespace: String, name: String, part: ObjectPart, dryRun: Bool,
    change: @escaping @Sendable (KubeObject) throws(StatusError) -> KubeObject
  ) async throws(StatusError) -> KubeObject
  /// Deletes an object, or marks it while finalizers keep it.
  func delete(_ kind: ResourceKind, namespace: String, name: String, options: DeleteOptions)
    async throws(StatusError) -> DeleteOutcome
  /// Changes from now on, or after `version`.
  func watch(after version: Int64?) async throws(StatusError) -> ObjectWatch
}

/// What a write may touch.
public enum ObjectPart: Sendable {
  /// The main resource: without the status where that is a subresource.
  case main
  /// The status subresource.
  case status
  /// All of it: for the agent's own controllers.
  case whole
}

/// What to list.
public struct ListQuery: Sendable {
  public var kind: ResourceKind
  /// nil: all namespaces.
  public var namespace: String?
  public var labels: LabelSelector
  public var fields: FieldSelector
  /// 0: no limit.
  public var limit: Int
  /// Where the page before ended.
  public var after: (namespace: String, name: String)?

  public init(
    _ kind: ResourceKind, namespace: String? = nil, labels: LabelSelector = .all, fields: FieldSelector = .all,
    limit: Int = 0, after: (namespace: String, name: String)? = nil
  ) {
    self.kind = kind
    self.namespace = namespace
    self.labels = labels
    self.fields = fields
    self.limit = limit
    self.after = after
  }

  /// Whether an object is of this selection.
  public func matches(_ object: KubeObject) -> Bool {
    (namespace == nil || object.namespace == namespace) && labels.matches(object.labels) && fields.matches(object)
  }
}

/// A page of objects.
public struct ObjectList: Sendable {
  public var items: [KubeObject]
  /// The newest version of the whole store when the list was made.
  public var version: Int64
  /// Whether more follow.
  public var more: Bool
}

/// How dependants are treated when their owner goes.
public enum PropagationPolicy: String, Sendable {
  case background = "Background"
  case foreground = "Foreground"
  case orphan = "Orphan"
}

public struct DeleteOptions: Sendable {
  public var propagation: PropagationPolicy?
  public var uid: String?
  public var resourceVersion: String?
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

public enum DeleteOutcome: Sendable {
  /// Gone; the last state.
  case deleted(KubeObject)
  /// Marked; finalizers keep it.
  case pending(KubeObject)
}
