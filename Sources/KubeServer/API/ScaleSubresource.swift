import APIModel
import KubeModel

extension ResourceKind {
  /// autoscaling/v1 Scale: how a workload's replicas are read and set without the rest of it. Served only as a
  /// subresource.
  static let scale: ResourceKind = {
    var kind = ResourceKind(
      group: "autoscaling", version: "v1", kind: "Scale", plural: "scales", namespaced: true, custom: false)
    kind.fields = Schema.scale
    return kind
  }()
}

// `kubectl scale` and what does the same.
extension ObjectAPI {
  func scale(_ request: APIRequest, _ path: ResourcePath, _ name: String) async throws(StatusError) -> APIResponse {
    let (kind, namespace) = (path.kind, path.namespace ?? "")
    let dryRun = try Self.dryRun(request)
    func tracking(_ options: String) throws(StatusError) -> FieldTracking {
      .update(try FieldManager(request, path, options: options))
    }
    switch request.method {
    case "GET":
      return .json(200, Self.scale(of: try await store.get(kind, namespace: namespace, name: name)).json)
    case "PUT":
      let wanted = try RequestBody.object(request, kind: .scale).object
      return try await setScale(kind, namespace, name, dryRun, try tracking("UpdateOptions")) { _ in wanted }
    case "PATCH":
      let patch = try PatchBody(request, kind: .scale)
      if patch.form == .apply { return try await applyScale(request, path, name, patch) }
      return try await setScale(kind, namespace, name, dryRun, try tracking("PatchOptions")) {
        old throws(StatusError) in try patch.apply(to: old)
      }
    default: throw .methodNotAllowed
    }
  }

  private func setScale(
    _ kind: ResourceKind, _ namespace: String, _ name: String, _ dryRun: Bool, _ tracking: FieldTracking,
    _ change: @escaping @Sendable (KubeObject) throws(StatusError) -> KubeObject
  ) async throws(StatusError) -> APIResponse {
    let changed = try await store.update(
      kind, namespace: namespace, name: name, part: .main, dryRun: dryRun, tracking: tracking
    ) {
      old throws(StatusError) in
      let wanted = try change(Self.scale(of: old))
      try FieldTypes.check(wanted, kind: .scale)
      let replicas = try Self.replicas(wanted, name)
      guard wanted.resourceVersion.isEmpty || wanted.resourceVersion == old.resourceVersion else {
        throw kind.conflict(name)
      }
      var new = old
      new.json[at: "spec.replicas"] = .integer(replicas)
      return new
    }
    return .json(200, Self.scale(of: changed).json)
  }

  private static func replicas(_ wanted: KubeObject, _ name: String) throws(StatusError) -> Int64 {
    if case .integer(let replicas)? = wanted.spec["replicas"], (0...Int64(Int32.max)).contains(replicas) {
      return replicas
    }
    let text = wanted.spec["replicas"]?.compactText ?? "null"
    throw ResourceKind.scale.invalid(
      name,
      [
        StatusError.Cause(
          reason: "FieldValueInvalid", message: "Invalid value: \(text): must be greater than or equal to 0",
          field: "spec.replicas")
      ])
  }

  /// The one field of a scale is a field of the workload, with the owners it has there.
  private func applyScale(
    _ request: APIRequest, _ path: ResourcePath, _ name: String, _ patch: PatchBody
  ) async throws(StatusError) -> APIResponse {
    let (kind, namespace) = (path.kind, path.namespace ?? "")
    var config = kind.object(namespace: namespace, name: name)
    config.json["spec"] = ["replicas": .integer(try Self.replicas(KubeObject(patch.value), name))]
    let apply = ServerSideApply(
      kind: kind, config: config.json, manager: try FieldManager(request, path, options: "PatchOptions"),
      force: request.flag("force"), now: clock())
    let changed = try await store.update(
      kind, namespace: namespace, name: name, part: .main, dryRun: try Self.dryRun(request), tracking: .applied
    ) { old throws(StatusError) in try apply.apply(to: old) }
    return .json(200, Self.scale(of: changed).json)
  }

  /// A workload as its scale.
  private static func scale(of object: KubeObject) -> KubeObject {
    var scale = ResourceKind.scale.object(namespace: object.namespace, name: object.name)
    for key in ["uid", "resourceVersion", "creationTimestamp"] { scale[metadata: key] = object.metadata[key] }
    scale.json["spec"] = ["replicas": object.spec["replicas"] ?? 0]
    let labels = object.json[at: "spec.selector.matchLabels"]?.object ?? [:]
    let selector = labels.compactMapValues(\.string).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    scale.json["status"] = [
      "replicas": object.status["replicas"] ?? 0, "selector": .string(selector.joined(separator: ",")),
    ]
    return scale
  }
}
