import CoreMetrics
import TestSupport
import Testing

@testable import MetricsExposition

/// What is recorded through swift-metrics, as the next scrape sees it.
@Suite struct MetricsRegistryTests {
  private static let jobs = MetricDefinition("jobs_total", .counter, "Jobs")
  private static let waits = MetricDefinition("wait_seconds_total", .counter, "Waits")
  private static let depth = MetricDefinition("depth", .gauge, "Depth")
  private static let length = MetricDefinition("length_seconds", .summary, "Length")

  private static func page(_ registry: MetricsRegistry) throws -> ExpositionPage {
    try ExpositionPage(ExpositionText.render(registry.families()))
  }

  @Test("counters of the same labels are one figure, whoever made them")
  func counters() throws {
    let registry = MetricsRegistry([Self.jobs])
    Counter(label: "jobs_total", dimensions: [("outcome", "good")], factory: registry).increment()
    Counter(label: "jobs_total", dimensions: [("outcome", "good")], factory: registry).increment(by: 4)
    Counter(label: "jobs_total", dimensions: [("outcome", "bad")], factory: registry).increment(by: 0)
    let page = try Self.page(registry)
    #expect(page.value("jobs_total", ["outcome": "good"]) == 5)
    #expect(page.value("jobs_total", ["outcome": "bad"]) == 0)
    #expect(page.types["jobs_total"] == "counter")
  }

  @Test("a counter never goes back")
  func noDecrease() throws {
    let registry = MetricsRegistry([Self.jobs, Self.waits])
    let counter = Counter(label: "jobs_total", factory: registry)
    counter.increment(by: 3)
    counter.increment(by: -2)
    let seconds = FloatingPointCounter(label: "wait_seconds_total", factory: registry)
    seconds.increment(by: 0.25)
    seconds.increment(by: -1)
    let page = try Self.page(registry)
    #expect(page.value("jobs_total") == 3)
    #expect(page.value("wait_seconds_total") == 0.25)
  }

  @Test("a gauge shows its last value, a recorder and a timer their sum and count in base units")
  func others() throws {
    let registry = MetricsRegistry([Self.depth, Self.length])
    let gauge = Gauge(label: "depth", factory: registry)
    gauge.record(7)
    gauge.record(2.5)
    Recorder(label: "length_seconds", factory: registry).record(1.5)
    Timer(label: "length_seconds", factory: registry).recordNanoseconds(500_000_000)
    let page = try Self.page(registry)
    #expect(page.value("depth") == 2.5)
    #expect(page.value("length_seconds_sum") == 2)
    #expect(page.value("length_seconds_count") == 2)
  }

  @Test("what nobody defined, or defined as another kind, goes nowhere")
  func unknown() throws {
    let registry = MetricsRegistry([Self.depth])
    Counter(label: "other_total", factory: registry).increment()
    Counter(label: "depth", factory: registry).increment()
    #expect(try Self.page(registry).samples.map(\.name) == [MetricsRegistry.refusedSeries.name])
  }

  @Test("labels without end do not take memory without end, and it shows that some were refused")
  func bounded() throws {
    let registry = MetricsRegistry([Self.jobs])
    for index in 0..<MetricsRegistry.seriesLimit + 10 {
      Counter(label: "jobs_total", dimensions: [("id", "\(index)")], factory: registry).increment()
    }
    let page = try Self.page(registry)
    #expect(page.samples("jobs_total").count == MetricsRegistry.seriesLimit)
    #expect(page.value(MetricsRegistry.refusedSeries.name) == 10)
  }

  @Test("threads that record at once lose nothing")
  func concurrent() async throws {
    let registry = MetricsRegistry([Self.jobs])
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<1000 { Counter(label: "jobs_total", factory: registry).increment() }
        }
      }
    }
    #expect(try Self.page(registry).value("jobs_total") == 8000)
  }
}

/// The page of a scrape.
@Suite struct MetricsPageTests {
  private struct Fixed: MetricsCollector {
    var name: String
    var families: [MetricFamily]?
    func collect() async -> [MetricFamily]? { families }
  }

  @Test("a collector that fails takes nothing else with it, and shows")
  func failing() async throws {
    let works = MetricFamily(MetricDefinition("works", .gauge, "x"), 1)
    let page = MetricsPage(
      MetricsRegistry([]), [Fixed(name: "bad", families: nil), Fixed(name: "good", families: [works])])
    let text = try ExpositionPage(await page.text())
    #expect(text.value("works") == 1)
    #expect(text.value("repl_agent_collector_up", ["collector": "bad"]) == 0)
    #expect(text.value("repl_agent_collector_up", ["collector": "good"]) == 1)
  }
}

/// The parser that other tests trust.
@Suite struct ExpositionPageTests {
  private static let head = "# HELP a_total x\n# TYPE a_total counter\n"

  @Test(
    "what Prometheus would refuse, it refuses",
    arguments: [
      "a 1\n", head + "a_total 1", head + "a_total 1\na_total 2\n", head + "b 1\n", head + "a_total -1\n",
      head + "a_total{x=\"1\"}1\n", head + "a_total{x=1} 1\n", head + "a_total{x=\"1\",} 1\n", head + "a_total one\n",
      head + "a_total{x=\"\\t\"} 1\n", head + "\na_total 1\n", head + head, "# TYPE a gauge\na 1\n",
      "# HELP a x\n# TYPE a counter\na 1\n", "# something\n", head + "a_total{x=\"1\" 1\n", head + "a_total  1\n",
    ])
  func refused(text: String) {
    #expect(throws: ExpositionPage.Problem.self) { try ExpositionPage(text) }
  }

  @Test("what is right, it reads")
  func read() throws {
    let page = try ExpositionPage(Self.head + "a_total{x=\"1\",y=\"\\\"\\\\\\n\"} 1.5e+10\n")
    #expect(page.samples.first?.labels == ["x": "1", "y": "\"\\\n"])
    #expect(page.samples.first?.value == 1.5e10)
  }
}
