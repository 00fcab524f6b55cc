import CoreMetrics
public import MetricsExposition

/// The metrics of the API itself, described in docs/metrics.md.
public enum KubeServerDefinitions {
  /// What the API records: a registry must know these.
  public static let recorded: [MetricDefinition] = [requests]

  static let requests = MetricDefinition(
    "repl_agent_api_requests_total", .counter, "Requests to the API that were answered, by verb and code")
  static let watchers = MetricDefinition(
    "repl_agent_api_watchers", .gauge, "Watches that are open, those of the agent's own controllers among them")
}

/// Counts requests, through swift-metrics. Any task may record.
struct RequestMetrics: Sendable {
  let factory: any MetricsFactory

  /// Counts a request that was answered.
  func request(_ request: APIRequest, code: Int) {
    let labels = [("verb", Self.verb(request)), ("code", String(code))]
    Counter(label: KubeServerDefinitions.requests.name, dimensions: labels, factory: factory).increment(by: 1)
  }

  /// A request's verb: one of few words, whatever was sent.
  static func verb(_ request: APIRequest) -> String {
    switch request.method {
    case "GET": request.flag("watch") ? "watch" : "get"
    case "HEAD": "get"
    case "POST": "create"
    case "PUT": "update"
    case "PATCH": "patch"
    case "DELETE": "delete"
    default: "other"
    }
  }
}

/// How many watches a store serves.
public struct WatchFigures: MetricsCollector {
  public let name = "api"
  private let store: SQLiteObjectStore

  public init(_ store: SQLiteObjectStore) { self.store = store }

  public func collect() async -> [MetricFamily]? {
    [MetricFamily(KubeServerDefinitions.watchers, Double(store.openWatches))]
  }
}
