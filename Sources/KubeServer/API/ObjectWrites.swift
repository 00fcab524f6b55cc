import APIModel
import KubeModel

// Create, update and patch.
extension ObjectAPI {
  func create(_ request: APIRequest, _ path: ResourcePath) async throws(StatusError) -> APIResponse {
    if path.kind.namespaced, path.namespace == nil {
      if path.kind.custom { return .text(404, "404 page not found\n") }
      throw .methodNotAllowed
    }
    let form = try form(request, path.kind)
    var (object, warnings) = try RequestBody.object(request, kind: path.kind)
    try Self.place(&object, path)
    object = KubeObject(path.kind.reveal(object.json, nil))
    let created = try await store.create(
      path.kind, object, dryRun: try Self.dryRun(request),
      tracking: .update(try FieldManager(request, path, options: "CreateOptions")))
    return .json(201, form.one(created), warnings: warnings)
  }

  /// Puts an object into the namespace of the URL.
  static func place(_ object: inout KubeObject, _ path: ResourcePath) throws(StatusError) {
    guard path.kind.namespaced, let namespace = path.namespace else { return }
    guard object.namespace.isEmpty || object.namespace == namespace else {
      throw StatusError(
        400, "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request")
    }
    object[metadata: "namespace"] = .string(namespace)
  }

  func replace(_ request: APIRequest, _ path: ResourcePath, _ name: String) async throws(StatusError) -> APIResponse {
    let form = try form(request, path.kind)
    let (object, warnings) = try RequestBody.object(request, kind: path.kind)
    if path.kind.updatesNeedVersion, object.resourceVersion.isEmpty {
      throw path.kind.invalid(
        name,
        [
          StatusError.Cause(
            reason: "FieldValueInvalid", message: "Invalid value: 0: must be specified for an update",
            field: "metadata.resourceVersion")
        ])
    }
    let result = try await store.update(
      path.kind, namespace: path.namespace ?? "", name: name, part: Self.part(path), dryRun: try Self.dryRun(request),
      tracking: .update(try FieldManager(request, path, options: "UpdateOptions"))
    ) { old in KubeObject(path.kind.reveal(object.json, old.json)) }
    return .json(200, form.one(result), warnings: warnings)
  }

  func patch(_ request: APIRequest, _ path: ResourcePath, _ name: String) async throws(StatusError) -> APIResponse {
    let form = try form(request, path.kind)
    let patch = try PatchBody(request, kind: path.kind)
    let manager = try FieldManager(request, path, options: "PatchOptions")
    if patch.form == .apply { return try await apply(request, path, name, patch, manager) }
    let (namespace, dryRun) = (path.namespace ?? "", try Self.dryRun(request))
    let warnings = Mailbox<[String]>([])
    let result = try await store.update(
      path.kind, namespace: namespace, name: name, part: Self.part(path), dryRun: dryRun, tracking: .update(manager)
    ) { old throws(StatusError) in
      let object = try patch.apply(to: old)
      warnings.set(try patch.warnings(object))
      return object
    }
    return .json(200, form.one(result), warnings: warnings.value)
  }

  static func part(_ path: ResourcePath) -> ObjectPart { path.subresource == "status" ? .status : .main }
}

// Deletes.
extension ObjectAPI {
  func delete(_ request: APIRequest, _ path: ResourcePath, _ name: String) async throws(StatusError) -> APIResponse {
    let outcome = try await store.delete(
      path.kind, namespace: path.namespace ?? "", name: name, options: try DeleteBody.options(request))
    switch outcome {
    case .pending(let object): return .json(200, object.json)
    case .deleted(let object):
      var details: JSONValue = ["name": .string(name), "kind": .string(path.kind.plural), "uid": .string(object.uid)]
      if !path.kind.group.isEmpty { details["group"] = .string(path.kind.group) }
      return .json(
        200, ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "details": details])
    }
  }

  func deleteCollection(_ request: APIRequest, _ path: ResourcePath) async throws(StatusError) -> APIResponse {
    if path.kind.namespaced, path.namespace == nil {
      if path.kind.custom { return .text(404, "404 page not found\n") }
      throw .methodNotAllowed
    }
    let form = try form(request, path.kind)
    let options = try DeleteBody.options(request)
    let page = try await store.list(try query(request, path))
    for object in page.items {
      do {
        _ = try await store.delete(path.kind, namespace: object.namespace, name: object.name, options: options)
      } catch  where error.code == 404 {
        continue
      }
    }
    return .json(200, form.list(page.items, metadata: ["resourceVersion": .string(String(page.version))]))
  }
}
