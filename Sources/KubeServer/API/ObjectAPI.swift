import APIModel
import KubeModel

/// The verbs of the Kubernetes API on every kind of the registry.
struct ObjectAPI: Sendable {
  var store: any ObjectStore
  var registry: ResourceRegistry
  /// Seconds since 1970.
  var clock: @Sendable () -> Int64
  /// Kinds whose objects are not in the store, by ``ResourceKind/resource``.
  var virtual: [String: any ObjectStore] = [:]
  var watches = WatchSlots()

  /// Answers a request; nil if its path names no kind.
  func answer(_ request: APIRequest) async throws(StatusError) -> APIResponse? {
    guard let path = ResourcePath(request.path, registry: registry) else {
      return try await older(request)
    }
    if path.subresource == "scale", path.kind.hasScale, let name = path.name {
      return try await scale(request, path, name)
    }
    if let subresource = path.subresource, !(subresource == "status" && path.kind.hasStatus) {
      throw Self.unknownSubresource(path)
    }
    guard path.kind.verbs.contains(try Self.verb(request, path)) else { throw .methodNotAllowed }
    switch (request.method, path.name) {
    case ("GET", nil): return request.flag("watch") ? try await watch(request, path) : try await list(request, path)
    case ("GET", let name?): return try await get(request, path, name)
    case ("POST", nil): return try await create(request, path)
    case ("PUT", let name?): return try await replace(request, path, name)
    case ("PATCH", let name?): return try await patch(request, path, name)
    case ("DELETE", let name?): return try await delete(request, path, name)
    case ("DELETE", nil): return try await deleteCollection(request, path)
    default: throw .methodNotAllowed
    }
  }

  /// The verb of discovery that a request means.
  private static func verb(_ request: APIRequest, _ path: ResourcePath) throws(StatusError) -> String {
    switch (request.method, path.name == nil) {
    case ("GET", true): return request.flag("watch") ? "watch" : "list"
    case ("GET", false): return "get"
    case ("POST", true): return "create"
    case ("PUT", false): return "update"
    case ("PATCH", false): return "patch"
    case ("DELETE", false): return "delete"
    case ("DELETE", true): return "deletecollection"
    case ("PUT", true), ("PATCH", true): throw StatusError(400, "BadRequest", "name must be provided")
    default: throw .methodNotAllowed
    }
  }

  private static func unknownSubresource(_ path: ResourcePath) -> StatusError {
    path.kind.custom
      ? path.kind.notFound(path.name ?? "")
      : StatusError(404, "NotFound", "the server could not find the requested resource")
  }

  /// Where the objects of a kind are.
  func store(_ kind: ResourceKind) -> any ObjectStore { virtual[kind.resource] ?? store }

  /// The form of answers about a kind that a request asks for.
  func form(_ request: APIRequest, _ kind: ResourceKind) throws(StatusError) -> ObjectForm {
    ObjectForm(
      form: try Negotiation.form(request.accept), kind: kind,
      include: ObjectForm.Include(rawValue: request.query["includeObject"] ?? "") ?? .metadata, clock: clock)
  }

  func query(_ request: APIRequest, _ path: ResourcePath) throws(StatusError) -> ListQuery {
    ListQuery(
      path.kind, namespace: path.namespace, labels: try LabelSelector(request.query["labelSelector"] ?? ""),
      fields: try FieldSelector(request.query["fieldSelector"] ?? "", kind: path.kind))
  }

  static func dryRun(_ request: APIRequest) throws(StatusError) -> Bool {
    switch request.query["dryRun"] {
    case nil, "": return false
    case "All": return true
    case let text?:
      throw StatusError(
        422, "Invalid", "dryRun: Unsupported value: \"\(text)\": supported values: \"All\"")
    }
  }
}
