import APIModel
import KubeModel

// Get and list.
extension ObjectAPI {
  func get(_ request: APIRequest, _ path: ResourcePath, _ name: String) async throws(StatusError) -> APIResponse {
    let form = try form(request, path.kind)
    let object = try await store(path.kind).get(path.kind, namespace: path.namespace ?? "", name: name)
    return .json(200, form.one(object))
  }

  func list(_ request: APIRequest, _ path: ResourcePath) async throws(StatusError) -> APIResponse {
    if request.query["sendInitialEvents"] != nil {
      throw Self.badOptions("sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list")
    }
    let form = try form(request, path.kind)
    var query = try query(request, path)
    let asked = try ListVersion(request)
    query.limit = asked.ignoresLimit ? 0 : try Self.limit(request)
    let token = try ContinueToken(request)
    query.after = token?.after
    let store = store(path.kind)
    // Stored texts go out as they are: nothing is read and written again for a client that wants plain JSON.
    if form.form == .json {
      let page = try await store.texts(query)
      try asked.check(current: page.version)
      let metadata = Self.metadata(version: token?.version ?? page.version, more: page.more, last: page.items.last)
      return .bytes(200, contentType: "application/json", form.list(page.items, metadata: metadata))
    }
    let page = try await store.list(query)
    try asked.check(current: page.version)
    let last = page.items.last.map { ObjectText(namespace: $0.namespace, name: $0.name, text: []) }
    let metadata = Self.metadata(version: token?.version ?? page.version, more: page.more, last: last)
    return .json(200, form.list(page.items, metadata: metadata))
  }

  /// All pages carry the version of the first: a watch from there misses nothing that changed between them.
  private static func metadata(version: Int64, more: Bool, last: ObjectText?) -> JSONValue {
    var metadata: JSONValue = ["resourceVersion": .string(String(version))]
    if more, let last {
      metadata["continue"] = .string(ContinueToken(version: version, after: (last.namespace, last.name)).text)
    }
    return metadata
  }

  private static func limit(_ request: APIRequest) throws(StatusError) -> Int {
    guard let text = request.query["limit"], !text.isEmpty else { return 0 }
    guard let limit = Int(text), limit >= 0 else {
      throw StatusError(400, "BadRequest", "strconv.ParseInt: parsing \"\(text.prefix(64))\": invalid syntax")
    }
    return limit
  }

  static func badOptions(_ text: String) -> StatusError {
    StatusError(422, "Invalid", "ListOptions.meta.k8s.io \"\" is invalid: \(text)")
  }
}

// Watch.
extension ObjectAPI {
  func watch(_ request: APIRequest, _ path: ResourcePath) async throws(StatusError) -> APIResponse {
    let query = try query(request, path)
    let initialEvents = request.flag("sendInitialEvents")
    try Self.checkMatch(request)
    let text = request.query["resourceVersion"] ?? ""
    let since = Int64(text.isEmpty ? "0" : text)
    guard let since, since >= 0 else {
      throw StatusError(500, "InternalError", "invalid resource version: \(text.prefix(64))")
    }
    let timeout = try Self.timeout(request)
    let slot = try watches.take()
    let store = store(path.kind)
    let form = try form(request, path.kind)
    let fromStart = initialEvents || since == 0
    // The position is taken before the objects are read, so that nothing can happen in between unseen.
    let watch = try await store.watch(after: fromStart ? nil : since)
    return .watch(
      WatchStream(
        query: query, form: form, store: store, initial: fromStart,
        endOfInitial: initialEvents && request.flag("allowWatchBookmarks"),
        bookmarks: request.flag("allowWatchBookmarks"),
        seconds: timeout > 0 ? timeout : Int64.random(in: 1_800...3_600), watch: watch, slot: slot))
  }

  private static func timeout(_ request: APIRequest) throws(StatusError) -> Int64 {
    let text = request.query["timeoutSeconds"] ?? ""
    guard let seconds = Int64(text.isEmpty ? "0" : text) else {
      throw StatusError(400, "BadRequest", "strconv.ParseInt: parsing \"\(text.prefix(64))\": invalid syntax")
    }
    return min(seconds, 86_400)
  }

  private static func checkMatch(_ request: APIRequest) throws(StatusError) {
    let match = request.query["resourceVersionMatch"] ?? ""
    if request.query["sendInitialEvents"] == nil {
      if match.isEmpty { return }
      throw badOptions(
        "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
      )
    }
    if match != "NotOlderThan" {
      throw badOptions(
        "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    }
  }
}
