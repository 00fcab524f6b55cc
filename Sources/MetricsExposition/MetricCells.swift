import CoreMetrics
import Synchronization

/// Where a figure is kept between scrapes. Any thread may record.
protocol MetricCell: AnyObject, Sendable {
  /// The figures of this moment.
  func samples(_ labels: MetricLabels) -> [MetricSample]
}

/// Whole numbers that only grow. Recording is one atomic addition: it may be done on the data path.
final class CounterCell: MetricCell, CounterHandler {
  private let value = Atomic<Int64>(0)

  func increment(by amount: Int64) {
    if amount > 0 { value.wrappingAdd(amount, ordering: .relaxed) }
  }

  func reset() { value.store(0, ordering: .relaxed) }

  func samples(_ labels: MetricLabels) -> [MetricSample] {
    [MetricSample(labels: labels, value: Double(value.load(ordering: .relaxed)))]
  }
}

/// Fractions that only grow: seconds.
final class FractionCell: MetricCell, FloatingPointCounterHandler {
  private let value = Mutex(0.0)

  func increment(by amount: Double) {
    if amount > 0, amount.isFinite { value.withLock { $0 += amount } }
  }

  func reset() { value.withLock { $0 = 0 } }

  func samples(_ labels: MetricLabels) -> [MetricSample] {
    [MetricSample(labels: labels, value: value.withLock { $0 })]
  }
}

/// The last value set.
final class GaugeCell: MetricCell, MeterHandler, RecorderHandler {
  private let value = Mutex(0.0)

  func set(_ value: Int64) { set(Double(value)) }
  func set(_ value: Double) { self.value.withLock { $0 = value } }
  func increment(by amount: Double) { value.withLock { $0 += amount } }
  func decrement(by amount: Double) { value.withLock { $0 -= amount } }
  func record(_ value: Int64) { set(Double(value)) }
  func record(_ value: Double) { set(value) }

  func samples(_ labels: MetricLabels) -> [MetricSample] {
    [MetricSample(labels: labels, value: value.withLock { $0 })]
  }
}

/// Sum and count of what was observed; timers are in seconds.
final class SummaryCell: MetricCell, RecorderHandler, TimerHandler {
  private struct State {
    var sum = 0.0
    var count = 0
  }

  private let state = Mutex(State())

  func record(_ value: Int64) { record(Double(value)) }

  func record(_ value: Double) {
    guard value.isFinite else { return }
    state.withLock { state in
      state.sum += value
      state.count += 1
    }
  }

  func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

  func samples(_ labels: MetricLabels) -> [MetricSample] {
    let now = state.withLock { $0 }
    return [
      MetricSample(suffix: "_sum", labels: labels, value: now.sum),
      MetricSample(suffix: "_count", labels: labels, value: Double(now.count)),
    ]
  }
}
