import AgentService
import APIModel
import KubeServer
import MetricsExposition

/// Whether the agent can do its work, and what it has measured.
struct HealthRoutes: APIRoutes {
  let paths = ["/healthz", "/metrics", "/readyz"]
  var service: any ReplicationService
  /// What `/metrics` shows; nil: there is no such path.
  var page: MetricsPage?

  func answer(_ request: APIRequest) async throws(StatusError) -> APIResponse? {
    guard request.method == "GET" else { return nil }
    switch request.path {
    case ["metrics"]:
      guard let page else { return nil }
      return .bytes(200, contentType: ExpositionText.contentType, Array(await page.text().utf8))
    case ["healthz"], ["readyz"]:
      let faults = await service.faults()
      return faults.isEmpty ? .text(200, "ok") : .text(503, Self.text(faults))
    default: return nil
    }
  }

  /// One line for each.
  static func text(_ faults: [HealthFinding]) -> String {
    faults.map { "\($0.subject): \($0.text)\n" }.joined()
  }
}
