public import APIModel

/// One kind of object the API serves: its names, its rules and how it is shown. Adding a kind is adding one of these.
public struct ResourceKind: Sendable {
  /// A column of server-side tables.
  public struct Column: Sendable {
    public var name: String
    public var type: String
    /// 0: always shown, 1: only in wide output.
    public var priority: Int
    /// The cell for an object; the second argument is now, in seconds since 1970.
    public var cell: @Sendable (KubeObject, Int64) -> JSONValue

    public init(
      _ name: String, type: String = "string", priority: Int = 0,
      cell: @escaping @Sendable (KubeObject, Int64) -> JSONValue
    ) {
      self.name = name
      self.type = type
      self.priority = priority
      self.cell = cell
    }
  }

  /// Bytes that the text of an object may have, as in etcd.
  public static let maximumBytes = 3 << 19

  /// API group; empty for the core group.
  public var group: String
  public var version: String
  public var kind: String
  public var plural: String
  public var singular: String
  public var shortNames: [String] = []
  public var namespaced: Bool
  /// Whether this is a custom resource: stored verbatim, strategic merge refused, resourceVersion needed by PUT.
  public var custom: Bool
  /// Whether status is written through `/status` only.
  public var hasStatus = false
  /// Whether its replicas are read and set through `/scale` too.
  public var hasScale = false
  /// Names must be DNS labels instead of subdomains.
  public var labelName = false
  /// What clients may do with it.
  public var verbs: Set<String> = [
    "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
  ]
  /// Collective names: kinds of `all` answer to `kubectl get all`.
  public var categories: [String] = []
  /// What the kind is for, in a sentence.
  public var description = ""
  /// Its fields besides `apiVersion`, `kind` and `metadata`.
  public var fields: [Schema.Field] = []
  /// Field selectors beyond `metadata.name` and `metadata.namespace`: all are dotted paths.
  public var fieldSelectors: Set<String> = []
  public var columns: [Column] = []
  /// Whether PUT must name the version it is based on.
  public var updatesNeedVersion: Bool
  /// Whether `metadata.generation` counts the changes of its spec.
  public var countsGenerations = false
  /// Whether dependants stay when nothing is said about them.
  public var orphansDependants = false
  /// Puts back secrets that clients are not shown, where a mask stands for them in what they send; the second document is
  /// the stored one, nil for a new object.
  public var reveal: @Sendable (JSONValue, JSONValue?) -> JSONValue = { document, _ in document }
  /// Sets what is missing, on every write.
  public var defaults: @Sendable (inout KubeObject) -> Void = { _ in }
  /// Sets what only new objects get, after the defaults.
  public var prepare: @Sendable (inout KubeObject) -> Void = { _ in }
  /// What is wrong with an object; the second argument is the stored one on update.
  public var validate: @Sendable (KubeObject, KubeObject?) -> [StatusError.Cause] = { _, _ in [] }

  public init(
    group: String, version: String, kind: String, plural: String, singular: String? = nil, namespaced: Bool,
    custom: Bool
  ) {
    self.group = group
    self.version = version
    self.kind = kind
    self.plural = plural
    self.singular = singular ?? kind.lowercased()
    self.namespaced = namespaced
    self.custom = custom
    updatesNeedVersion = custom
  }

  /// `v1` or `group/version`.
  public var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
  /// `migrations.stork.libopenstorage.org` or `events`: in messages, and the key of the store.
  public var resource: String { group.isEmpty ? plural : "\(plural).\(group)" }
  /// `Migration.stork.libopenstorage.org` or `Event`.
  public var qualifiedKind: String { group.isEmpty ? kind : "\(kind).\(group)" }
  /// Where its collection is served, without a namespace.
  public var root: String { group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)" }

  /// A document of this kind with metadata and nothing else.
  public func object(namespace: String = "", name: String) -> KubeObject {
    KubeObject(apiVersion: apiVersion, kind: kind, namespace: namespaced ? namespace : nil, name: name)
  }

  /// 404 with the text real servers send.
  public func notFound(_ name: String) -> StatusError {
    StatusError(404, "NotFound", "\(resource) \"\(name)\" not found", name: name, group: group, kind: plural)
  }

  /// 422 with one message out of several causes.
  public func invalid(_ name: String, _ causes: [StatusError.Cause]) -> StatusError {
    let texts = causes.map { "\($0.field): \($0.message)" }
    let list = texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"
    return StatusError(
      422, "Invalid", "\(qualifiedKind) \"\(name)\" is invalid: \(list)", name: name, group: group, kind: kind,
      causes: causes)
  }

  /// 409 for a write that is based on an older version.
  public func conflict(_ name: String) -> StatusError {
    let text = "the object has been modified; please apply your changes to the latest version and try again"
    return StatusError(
      409, "Conflict", "Operation cannot be fulfilled on \(resource) \"\(name)\": \(text)", name: name, group: group,
      kind: plural)
  }
}
