/// Says what it knows at the moment of a scrape.
public protocol MetricsCollector: Sendable {
  /// What `collector` is called in `repl_agent_collector_up`.
  var name: String { get }
  /// The figures of this moment; nil when they cannot be had, which must not keep the others from being read.
  func collect() async -> [MetricFamily]?
}

/// Everything a scrape gets: what was recorded, and what the collectors say. Any task may ask; scrapes that come at
/// once share one answer.
public actor MetricsPage {
  private let registry: MetricsRegistry
  private let collectors: [any MetricsCollector]
  private var underWay: Task<String, Never>?

  public static let collectorUp = MetricDefinition(
    "repl_agent_collector_up", .gauge, "Whether a part of this page could be read (1) or is missing (0)")

  public init(_ registry: MetricsRegistry, _ collectors: [any MetricsCollector]) {
    self.registry = registry
    self.collectors = collectors
  }

  /// The page as text.
  public func text() async -> String {
    if let underWay { return await underWay.value }
    let task = Task { [registry, collectors] in await Self.make(registry, collectors) }
    underWay = task
    let text = await task.value
    underWay = nil
    return text
  }

  private static func make(_ registry: MetricsRegistry, _ collectors: [any MetricsCollector]) async -> String {
    var families = registry.families()
    var up = MetricFamily(collectorUp)
    for collector in collectors {
      let found = await collector.collect()
      families += found ?? []
      up.add([(name: "collector", value: collector.name)], found == nil ? 0 : 1)
    }
    return ExpositionText.render(families + [up])
  }
}
