import APIModel
import KubeModel

// `kubectl describe cronjob` up to 1.20 knows this kind in its old version only, whatever discovery says.
extension ObjectAPI {
  /// A CronJob as batch/v1beta1 has it, which is the same but for the name of the version; nil for other paths.
  func older(_ request: APIRequest) async throws(StatusError) -> APIResponse? {
    guard request.method == "GET", request.path.count == 7, request.path.starts(with: ["apis", "batch", "v1beta1"]),
      request.path[5] == "cronjobs"
    else { return nil }
    var current = request
    current.path[2] = "v1"
    guard let path = ResourcePath(current.path, registry: registry), let name = path.name,
      case .json(let code, var json, let warnings) = try await get(current, path, name)
    else { return nil }
    if json["kind"] == "CronJob" { json["apiVersion"] = "batch/v1beta1" }
    return .json(code, json, warnings: warnings)
  }
}
