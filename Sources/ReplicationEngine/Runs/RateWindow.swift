/// How fast a count has grown lately, by whoever looks at it now and then. Pure; times are seconds of a monotonic clock.
struct RateWindow {
  /// Seconds that "lately" means. What is known from before them counts only while nothing newer is.
  static let length = 15.0
  /// Least seconds between two samples that are kept.
  private static let step = 0.5

  private var samples: [(at: Double, count: UInt64)] = []
  /// When the count was last seen to be another one.
  private var movedAt: Double

  init(at now: Double) { movedAt = now }

  mutating func note(_ count: UInt64, at now: Double) {
    guard let last = samples.last, count >= last.count else {
      // The first look, before which something may have moved at any time, or a new beginning.
      if !samples.isEmpty || count > 0 { movedAt = now }
      samples = [(now, count)]
      return
    }
    if count > last.count { movedAt = now }
    if now - last.at >= Self.step { samples.append((now, count)) }
    while samples.count > 2, now - samples[1].at >= Self.length { samples.removeFirst() }
  }

  /// Per second; nil before a second look.
  func rate(_ count: UInt64, at now: Double) -> Double? {
    guard let first = samples.first, now - first.at >= Self.step, count >= first.count else { return nil }
    return Double(count - first.count) / (now - first.at)
  }

  /// Seconds for which it has not moved.
  func secondsStill(at now: Double) -> Double { now - movedAt }
}
