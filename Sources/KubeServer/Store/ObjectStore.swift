public import APIModel
public import KubeModel

/// What the verbs of the API need of the place where objects live: more than controllers may ask for (``KubeStore``).
///
/// Every call may be made from any task. Errors are those the API answers.
public protocol ObjectStore: Sendable {
  /// One object.
  func get(_ kind: ResourceKind, namespace: String, name: String) async throws(StatusError) -> KubeObject
  /// Objects in the order of namespace and name, with the version of the whole store.
  func list(_ query: ListQuery) async throws(StatusError) -> ObjectList
  /// As ``list(_:)``, as the texts the objects are stored as.
  func texts(_ query: ListQuery) async throws(StatusError) -> TextList
  /// Stores a new object and gives it identity and version; with `dryRun` everything but storing.
  func create(_ kind: ResourceKind, _ object: KubeObject, dryRun: Bool, tracking: FieldTracking)
    async throws(StatusError) -> KubeObject
  /// Changes an object in one transaction; `change` sees the stored object and returns the wanted one.
  ///
  /// A wanted object that carries a `resourceVersion` must carry the stored one. A change of nothing keeps the version.
  func update(
    _ kind: ResourceKind, namespace: String, name: String, part: ObjectPart, dryRun: Bool,
    tracking: FieldTracking, change: @escaping @Sendable (KubeObject) throws(StatusError) -> KubeObject
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
  /// All of it: for the server itself and for tests.
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
  /// A page ends after about so many bytes; at least one object is in it.
  public var maximumBytes = Int.max

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

  /// Whether objects must be looked into to tell whether they are of this selection.
  var looksInside: Bool {
    !labels.requirements.isEmpty || fields.terms.contains { !($0.path == "metadata.name" && $0.equal) }
  }

  /// Whether an object is of this selection; it is decoded only where the selection looks inside.
  func matches(_ object: ObjectText) throws(StatusError) -> Bool {
    guard namespace == nil || object.namespace == namespace, fields.name.map({ $0 == object.name }) ?? true else {
      return false
    }
    return looksInside ? matches(try object.decoded()) : true
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

/// An object as the JSON text it is stored as.
public struct ObjectText: Sendable {
  public var namespace: String
  public var name: String
  public var text: [UInt8]

  public init(namespace: String, name: String, text: [UInt8]) {
    self.namespace = namespace
    self.name = name
    self.text = text
  }

  init(_ object: KubeObject, _ text: [UInt8]) {
    self.init(namespace: object.namespace, name: object.name, text: text)
  }

  /// Nesting accepted in what is stored already.
  static let maximumDepth = 512

  func decoded() throws(StatusError) -> KubeObject {
    do { return KubeObject(try JSONParser.parse(text, maximumDepth: Self.maximumDepth)) } catch {
      throw StatusError(500, "InternalError", "object database: a document is damaged: \(error)")
    }
  }
}

/// A page of objects as texts.
public struct TextList: Sendable {
  public var items: [ObjectText]
  public var version: Int64
  public var more: Bool
}

extension ObjectStore {
  public func texts(_ query: ListQuery) async throws(StatusError) -> TextList {
    let page = try await list(query)
    let items = page.items.map { object in
      ObjectText(namespace: object.namespace, name: object.name, text: JSONWriter.bytes(object.json))
    }
    return TextList(items: items, version: page.version, more: page.more)
  }
}
