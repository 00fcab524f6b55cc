import APIModel

/// The verbs of the Kubernetes API on every kind of the registry.
struct ObjectAPI: Sendable {
  var store: any ObjectStore
  var registry: ResourceRegistry
  /// Seconds since 1970.
  var clock: @Sendable () -> Int64

  /// Answers a request; nil if its path names no kind.
  func answer(_ request: APIRequest) async throws(StatusError) -> APIResponse? {
    guard let path = ResourcePath(request.path, registry: registry) else { return nil }
    if let subresource = path.subresource, !(subresource == "status" && path.kind.hasStatus) {
      throw path.kind.notFound(path.name ?? "")
    }
    switch (request.method, path.name) {
    case ("GET", nil): return request.flag("watch") ? try await watch(request, path) : try await list(request, path)
    case ("GET", let name?): return try await get(request, path, name)
    case ("POST", nil): return try await create(request, path)
    case ("PUT", let name?): return try await replace(request, path, name)
    case ("PATCH", let name?): return try await patch(request, path, name)
    case ("DELETE", let name?): return try await delete(request, path, name)
    case ("DELETE", nil): return try await deleteCollection(request, path)
    case ("PUT", nil), ("PATCH", nil): throw StatusError(400, "BadRequest", "name must be provided")
    default: throw Self.methodNotAllowed
    }
  }

  static let methodNotAllowed = StatusError(
    405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

  private func get(_ request: APIRequest, _ path: ResourcePath, _ name: String) async throws(StatusError)
    -> APIResponse
  {
    let object = try await store.get(path.kind, namespace: path.namespace ?? "", name: name)
    guard let table = TableWriter(request, kind: path.kind, now: clock()) else { return .json(200, object.json) }
    return .json(200, table.table([object], metadata: ["resourceVersion": .string(object.resourceVersion)]))
  }

  private func list(_ request: APIRequest, _ path: ResourcePath) async throws(StatusError) -> APIResponse {
    if request.query["sendInitialEvents"] != nil { throw try Self.initialEventsForbidden("list") }
    var query = try query(request, path)
    let asked = try ListVersion(request)
    query.limit = asked.ignoresLimit ? 0 : try Self.limit(request)
    if let token = request.query["continue"], !token.isEmpty {
      if !(request.query["resourceVersion"] ?? "").isEmpty {
        throw StatusError(
          400, "BadRequest", "specifying resource version is not allowed when using continue")
      }
      query.after = try ContinueToken.decode(token)
    }
    let page = try await store.list(query)
    try asked.check(current: page.version)
    var metadata: JSONValue = ["resourceVersion": .string(String(page.version))]
    if page.more, let last = page.items.last { metadata["continue"] = .string(ContinueToken.encode(last)) }
    if let table = TableWriter(request, kind: path.kind, now: clock()) {
      return .json(200, table.table(page.items, metadata: metadata))
    }
    return .json(200, Self.list(path.kind, page.items, metadata: metadata))
  }

  private static func list(_ kind: ResourceKind, _ items: [KubeObject], metadata: JSONValue) -> JSONValue {
    [
      "apiVersion": .string(kind.apiVersion), "kind": .string(kind.kind + "List"), "metadata": metadata,
      "items": .array(items.map(\.json)),
    ]
  }

  private func query(_ request: APIRequest, _ path: ResourcePath) throws(StatusError) -> ListQuery {
    ListQuery(
      path.kind, namespace: path.namespace, labels: try LabelSelector(request.query["labelSelector"] ?? ""),
      fields: try FieldSelector(request.query["fieldSelector"] ?? "", kind: path.kind))
  }

  private static func limit(_ request: APIRequest) throws(StatusError) -> Int {
    guard let text = request.query["limit"], !text.isEmpty else { return 0 }
    guard let limit = Int(text), limit >= 0 else {
      throw StatusError(400, "BadRequest", "strconv.ParseInt: parsing \"\(text)\": invalid syntax")
    }
    return limit
  }

  private static func initialEventsForbidden(_ verb: String) throws(StatusError) -> StatusError {
    StatusError(
      422, "Invalid",
      "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for \(verb)"
    )
  }
}

// Watch.
extension ObjectAPI {
  private func watch(_ request: APIRequest, _ path: ResourcePath) async throws(StatusError) -> APIResponse {
    let query = try query(request, path)
    let bookmarks = request.flag("allowWatchBookmarks")
    let initialEvents = request.flag("sendInitialEvents")
    if request.query["sendInitialEvents"] != nil, request.query["resourceVersionMatch"] != "NotOlderThan" {
      throw StatusError(
        422, "Invalid",
        "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: "
          + "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    }
    let text = request.query["resourceVersion"] ?? ""
    let since = Int64(text)
    if !text.isEmpty, since == nil || since ?? 0 < 0 {
      throw StatusError(500, "InternalError", "invalid resource version: \(text)")
    }
    let timeout = Int64(request.query["timeoutSeconds"] ?? "") ?? 0
    var stream = WatchStream(
      query: query, table: TableWriter(request, kind: path.kind, now: clock()), initial: [], initialBookmark: nil,
      bookmarks: bookmarks, seconds: timeout > 0 ? timeout : Int64.random(in: 1_800...3_600),
      watch: try await store.watch(after: since ?? 0))
    if initialEvents || since ?? 0 == 0 {
      let page = try await store.list(query)
      stream.initial = page.items
      if initialEvents, bookmarks { stream.initialBookmark = page.version }
      stream.watch = try await store.watch(after: page.version)
    }
    return .watch(stream)
  }
}

// Writes.
extension ObjectAPI {
  private func create(_ request: APIRequest, _ path: ResourcePath) async throws(StatusError) -> APIResponse {
    let body = try RequestBody.object(request, kind: path.kind)
    var object = body.object
    if path.kind.namespaced {
      guard let namespace = path.namespace else { throw Self.methodNotAllowed }
      if !object.namespace.isEmpty, object.namespace != namespace {
        throw StatusError(
          400, "BadRequest",
          "the namespace of the provided object does not match the namespace sent on the request")
      }
      object[metadata: "namespace"] = .string(namespace)
    }
    let created = try await store.create(path.kind, object, dryRun: try Self.dryRun(request))
    return .json(201, created.json, warnings: body.warnings)
  }

  private func replace(_ request: APIRequest, _ path: ResourcePath, _ name: String) async throws(StatusError)
    -> APIResponse
  {
    let body = try RequestBody.object(request, kind: path.kind)
    let kind = path.kind
    if kind.custom, body.object.resourceVersion.isEmpty {
      throw kind.invalid(
        name,
        [
          StatusError.Cause(
            reason: "FieldValueInvalid", message: "Invalid value: 0: must be specified for an update",
            field: "metadata.resourceVersion")
        ])
    }
    let result = try await store.update(
      kind, namespace: path.namespace ?? "", name: name, part: Self.part(path), dryRun: try Self.dryRun(request)
    ) { _ in body.object }
    return .json(200, result.json, warnings: body.warnings)
  }

  private func patch(_ request: APIRequest, _ path: ResourcePath, _ name: String) async throws(StatusError)
    -> APIResponse
  {
    let patch = try RequestBody.patch(request, kind: path.kind)
    let (namespace, dryRun) = (path.namespace ?? "", try Self.dryRun(request))
    do {
      let result = try await store.update(
        path.kind, namespace: namespace, name: name, part: Self.part(path), dryRun: dryRun
      ) { old throws(StatusError) in KubeObject(try patch.apply(to: old.json)) }
      return .json(200, result.json)
    } catch  where error.code == 404 && patch.createsMissing && error.kind == path.kind.plural {
      var object = KubeObject(try patch.apply(to: .object([:])))
      object[metadata: "name"] = .string(name)
      if path.kind.namespaced { object[metadata: "namespace"] = .string(namespace) }
      return .json(201, try await store.create(path.kind, object, dryRun: dryRun).json)
    }
  }

  private static func part(_ path: ResourcePath) -> ObjectPart { path.subresource == "status" ? .status : .main }

  static func dryRun(_ request: APIRequest) throws(StatusError) -> Bool {
    switch request.query["dryRun"] {
    case nil: return false
    case "All": return true
    case let text?:
      throw StatusError(
        422, "Invalid", "dryRun: Unsupported value: \"\(text)\": supported values: \"All\"")
    }
  }
}

// Deletes.
extension ObjectAPI {
  private func delete(_ request: APIRequest, _ path: ResourcePath, _ name: String) async throws(StatusError)
    -> APIResponse
  {
    let outcome = try await store.delete(
      path.kind, namespace: path.namespace ?? "", name: name, options: try RequestBody.deleteOptions(request))
    switch outcome {
    case .pending(let object): return .json(200, object.json)
    case .deleted(let object):
      var details: JSONValue = ["name": .string(name), "kind": .string(path.kind.plural), "uid": .string(object.uid)]
      if !path.kind.group.isEmpty { details["group"] = .string(path.kind.group) }
      return .json(
        200, ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "details": details])
    }
  }

  private func deleteCollection(_ request: APIRequest, _ path: ResourcePath) async throws(StatusError) -> APIResponse {
    guard !path.kind.namespaced || path.namespace != nil, path.kind.resource != ResourceKind.namespace.resource else {
      throw Self.methodNotAllowed
    }
    let options = try RequestBody.deleteOptions(request)
    let page = try await store.list(try query(request, path))
    for object in page.items {
      do {
        _ = try await store.delete(path.kind, namespace: object.namespace, name: object.name, options: options)
      } catch  where error.code == 404 {
        continue
      }
    }
    return .json(
      200, Self.list(path.kind, page.items, metadata: ["resourceVersion": .string(String(page.version))]))
  }
}
