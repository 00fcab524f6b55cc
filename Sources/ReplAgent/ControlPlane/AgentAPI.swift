import APIModel
import KubeModel
import KubeServer
import StorkControllers
import KubeModel
import ReplModel
import AgentService

/// Endpoints of our own, for what Kubernetes has no words for: volumes, tokens, points, verification.
struct AgentAPI: APIRoutes {
  let paths = ["/agent/v1/status"]
  var service: any ReplicationService
  var objects: VolumeObjects

  /// Answers a request below `/agent/v1`; nil for other paths.
  func answer(_ request: APIRequest) async throws(StatusError) -> APIResponse? {
    guard request.path.starts(with: ["agent", "v1"]) else { return nil }
    let path = Array(request.path.dropFirst(2))
    switch (request.method, path.first ?? "", path.count) {
    case ("GET", "status", 1): return .json(200, try JSONValue(report: try await run { try await service.status() }))
    case ("GET", "volumes", 1): return .json(200, try JSONValue(report: try await run { try await service.volumes() }))
    case ("POST", "volumes", 1): return try await createVolume(request)
    case ("POST", "volumes:import", 1): return try await importVolume(request)
    case ("DELETE", "volumes", 3): return try await deleteVolume(request, path[1], path[2])
    case (_, "pairtokens", 1...2): return try await pairingTokens(request, Array(path.dropFirst()))
    case ("DELETE", "peers", 2):
      try await run { try await service.revokePeer(path[1]) }
      return .json(200, ["cluster": .string(path[1])])
    case ("GET", "recoverypoints", 3): return try await points(path[1], path[2])
    case ("POST", "recoverypoints", 4) where path[3] == "clone": return try await clone(request, path[1], path[2])
    case ("POST", "recoverypoints", 4) where path[3] == "verify": return try await verify(request, path[1], path[2])
    case (_, "status", 1), (_, "volumes", 1), (_, "volumes:import", 1), (_, "volumes", 3),
      (_, "peers", 2),
      (_, "recoverypoints", 3), (_, "recoverypoints", 4):
      throw .methodNotAllowed
    default: return nil
    }
  }

  private func pairingTokens(_ request: APIRequest, _ path: [String]) async throws(StatusError) -> APIResponse {
    switch (request.method, path.first) {
    case ("GET", nil):
      return .json(200, try JSONValue(report: try await run { try await service.pairingTokens() }))
    case ("POST", nil):
      let cluster = request.body.isEmpty ? nil : try Self.optional(try request.document(), "cluster")
      let token = try await run { try await service.makePairingToken(for: cluster) }
      return .json(201, ["token": .string(token)])
    case ("DELETE", let id?):
      return .json(200, try JSONValue(report: try await run { try await service.deletePairingToken(id) }))
    default: throw .methodNotAllowed
    }
  }

  /// Calls the engine, with its errors in the API's shape.
  private func run<Value>(_ body: () async throws -> Value) async throws(StatusError) -> Value {
    do { return try await body() } catch let error as ReplError { throw StatusError(error) } catch {
      throw StatusError(500, "InternalError", "\(error)")
    }
  }

  private func createVolume(_ request: APIRequest) async throws(StatusError) -> APIResponse {
    let body = try request.document()
    let (namespace, name) = try Self.names(body)
    let size = try Self.size(body)
    let wanted = CreateVolumeRequest(
      namespace: namespace, name: name, size: size, pool: try Self.optional(body, "pool"))
    let report = try await run { try await service.createVolume(wanted) }
    try await objects.ensure(report)
    return .json(201, try JSONValue(report: report))
  }

  private func importVolume(_ request: APIRequest) async throws(StatusError) -> APIResponse {
    let body = try request.document()
    let (namespace, name) = try Self.names(body)
    let path = try Self.required(body, "path")
    guard path.hasPrefix("/") else {
      throw Self.bad("path", "'\(path)' is not an absolute path", "name the file from the root of the file system")
    }
    let consistency = try Self.optional(body, "consistency")
    guard consistency == nil || consistency == "none" else {
      throw Self.bad("consistency", "'\(consistency ?? "")' is not known", "leave it out, or say none")
    }
    let wanted = ImportVolumeRequest(
      namespace: namespace, name: name, path: path, pool: try Self.optional(body, "pool"),
      allowFuzzy: consistency == "none")
    let report = try await run { try await service.importVolume(wanted) }
    try await objects.ensure(report)
    return .json(201, try JSONValue(report: report))
  }

  private func deleteVolume(_ request: APIRequest, _ namespace: String, _ name: String) async throws(StatusError)
    -> APIResponse
  {
    let data = request.flag("data")
    if data, request.query["confirm"] != name {
      throw StatusError(
        ReplError(
          .refused, subject: "volume \(namespace)/\(name)", cause: "deleting its data must be confirmed by its name",
          remedy: "repeat with --confirm \(name)"))
    }
    let report = try await ownVolume(namespace, name)
    guard let id = VolumeID(report.id) else { throw StatusError(500, "InternalError", "no volume id: \(report.id)") }
    try await run { try await service.deleteVolume(id, data: data) }
    try await objects.remove(report)
    return .json(200, try JSONValue(report: report))
  }

  /// The volume of this agent with that name; one held for a peer may have the same.
  private func ownVolume(_ namespace: String, _ name: String) async throws(StatusError) -> VolumeReport {
    let named = try await run { try await service.volumes() }.filter { $0.namespace == namespace && $0.name == name }
    if let own = named.first(where: { $0.sourceCluster.isEmpty }) { return own }
    guard let held = named.first else {
      throw StatusError(
        ReplError(.notFound, subject: "volume \(namespace)/\(name)", cause: "no such volume", remedy: nil))
    }
    throw StatusError(
      ReplError(
        .refused, subject: "volume \(namespace)/\(name)", cause: "is not of this agent but of \(held.sourceCluster)",
        remedy: "delete it there: its points here age out then"))
  }

  private func points(_ namespace: String, _ name: String) async throws(StatusError) -> APIResponse {
    let points = try await run { try await service.recoveryPoints(namespace: namespace, name: name) }
    return .json(200, try JSONValue(report: points))
  }

  private func clone(_ request: APIRequest, _ namespace: String, _ name: String) async throws(StatusError)
    -> APIResponse
  {
    let body = try request.document()
    let point = try Self.point(body)
    let to = try Self.required(body, "to")
    guard to.hasPrefix("/") else {
      throw Self.bad("to", "'\(to)' is not an absolute path", "name the file from the root of the file system")
    }
    let report = try await run {
      try await service.clonePoint(namespace: namespace, name: name, point: point, to: to)
    }
    return .json(201, try JSONValue(report: report))
  }

  private func verify(_ request: APIRequest, _ namespace: String, _ name: String) async throws(StatusError)
    -> APIResponse
  {
    let body = try request.document()
    let point = try Self.point(body)
    if let value = body["quick"], !value.isNull, value.bool == nil {
      throw Self.bad("quick", "must be true or false", nil)
    }
    let quick = body["quick"]?.bool ?? false
    let report = try await run {
      try await service.verify(namespace: namespace, name: name, point: point, quick: quick)
    }
    return .json(200, try JSONValue(report: report))
  }
}

// Fields of bodies.
extension AgentAPI {
  private static func bad(_ subject: String, _ cause: String, _ remedy: String?) -> StatusError {
    StatusError(ReplError(.invalid, subject: subject, cause: cause, remedy: remedy))
  }

  private static func required(_ body: JSONValue, _ key: String) throws(StatusError) -> String {
    guard let text = try optional(body, key), !text.isEmpty else { throw bad(key, "is missing", nil) }
    guard !text.utf8.contains(0) else { throw bad(key, "contains a zero byte", nil) }
    return text
  }

  private static func optional(_ body: JSONValue, _ key: String) throws(StatusError) -> String? {
    guard let value = body[key], !value.isNull else { return nil }
    guard let text = value.string else { throw bad(key, "must be a text", nil) }
    return text
  }

  private static func names(_ body: JSONValue) throws(StatusError) -> (namespace: String, name: String) {
    let (namespace, name) = (try required(body, "namespace"), try required(body, "name"))
    try ResourceKind.namespace.checkName(namespace)
    try ResourceKind.persistentVolumeClaim.checkName(name)
    return (namespace, name)
  }

  private static func size(_ body: JSONValue) throws(StatusError) -> UInt64 {
    let text = body["size"]?.text ?? ""
    guard let bytes = Quantity.bytes(text), bytes > 0 else {
      throw bad("size", "'\(text)' is not a size above zero", "write bytes or a quantity such as 4Gi")
    }
    return bytes
  }

  private static func point(_ body: JSONValue) throws(StatusError) -> PointID? {
    guard let text = try optional(body, "point") else { return nil }
    guard let point = PointID(text) else {
      throw bad("point", "'\(text)' is not the id of a point", "see replctl recovery-points")
    }
    return point
  }
}
