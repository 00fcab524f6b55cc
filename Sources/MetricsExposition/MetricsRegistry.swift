public import CoreMetrics
import Synchronization

/// A backend of swift-metrics that keeps what was recorded for the next scrape. Any thread may record.
///
/// It knows its metrics from the start, by name, kind and help; what else is recorded goes nowhere. The figures of one
/// metric are bounded: beyond ``seriesLimit`` combinations of labels new ones go nowhere and are counted.
public final class MetricsRegistry: MetricsFactory {
  /// Most combinations of labels of one metric.
  public static let seriesLimit = 2048

  private struct Series {
    var labels: MetricLabels
    var cell: any MetricCell
  }

  private struct Family {
    var definition: MetricDefinition
    /// In the order they were first recorded.
    var series: [Series] = []
    var index: [String: Int] = [:]
  }

  private struct State {
    var families: [Family]
    var index: [String: Int]
    var refused = 0
  }

  private let state: Mutex<State>

  public static let refusedSeries = MetricDefinition(
    "repl_agent_metrics_series_refused_total", .counter,
    "Times that a figure was not recorded because its metric has too many combinations of labels")

  /// - Parameter definitions: all metrics that may be recorded; of two with the same name the first counts.
  public init(_ definitions: [MetricDefinition]) {
    var index: [String: Int] = [:]
    var families: [Family] = []
    for definition in definitions where index[definition.name] == nil {
      index[definition.name] = families.count
      families.append(Family(definition: definition))
    }
    state = Mutex(State(families: families, index: index))
  }

  /// What was recorded until now; metrics without a figure are left out.
  public func families() -> [MetricFamily] {
    let (families, refused) = state.withLock { ($0.families, $0.refused) }
    let recorded = families.filter { !$0.series.isEmpty }.map { family in
      var made = MetricFamily(family.definition)
      for series in family.series { for sample in series.cell.samples(series.labels) { made.add(sample) } }
      return made
    }
    return recorded + [MetricFamily(Self.refusedSeries, Double(refused))]
  }

  /// The cell of a figure, made when it is first asked for; nil where nothing is kept.
  private func cell<Cell: MetricCell>(
    _ label: String, _ dimensions: [(String, String)], _ kind: MetricKind, _ make: () -> Cell
  ) -> Cell? {
    state.withLock { state in
      guard let at = state.index[label], state.families[at].definition.kind == kind else { return nil }
      let key = dimensions.map { "\($0.0.utf8.count):\($0.0)\($0.1.utf8.count):\($0.1)" }.joined()
      if let found = state.families[at].index[key] { return state.families[at].series[found].cell as? Cell }
      guard state.families[at].series.count < Self.seriesLimit else {
        state.refused += 1
        return nil
      }
      let cell = make()
      state.families[at].index[key] = state.families[at].series.count
      state.families[at].series.append(Series(labels: dimensions.map { (name: $0.0, value: $0.1) }, cell: cell))
      return cell
    }
  }

  // MARK: MetricsFactory

  public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    cell(label, dimensions, .counter) { CounterCell() }
      ?? NOOPMetricsHandler.instance.makeCounter(label: label, dimensions: dimensions)
  }

  public func makeFloatingPointCounter(
    label: String, dimensions: [(String, String)]
  ) -> any FloatingPointCounterHandler {
    cell(label, dimensions, .counter) { FractionCell() }
      ?? NOOPMetricsHandler.instance.makeFloatingPointCounter(label: label, dimensions: dimensions)
  }

  public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    cell(label, dimensions, .gauge) { GaugeCell() }
      ?? NOOPMetricsHandler.instance.makeMeter(label: label, dimensions: dimensions)
  }

  public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
    let made: (any RecorderHandler)? =
      aggregate
      ? cell(label, dimensions, .summary) { SummaryCell() } : cell(label, dimensions, .gauge) { GaugeCell() }
    return made
      ?? NOOPMetricsHandler.instance.makeRecorder(label: label, dimensions: dimensions, aggregate: aggregate)
  }

  public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    cell(label, dimensions, .summary) { SummaryCell() }
      ?? NOOPMetricsHandler.instance.makeTimer(label: label, dimensions: dimensions)
  }

  // A figure that was recorded once stays for the life of the process, as Prometheus expects of counters.
  public func destroyCounter(_ handler: any CounterHandler) {}
  public func destroyMeter(_ handler: any MeterHandler) {}
  public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
  public func destroyRecorder(_ handler: any RecorderHandler) {}
  public func destroyTimer(_ handler: any TimerHandler) {}
}
