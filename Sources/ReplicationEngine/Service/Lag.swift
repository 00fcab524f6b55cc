import ReplModel

/// How old a point is: what the clocks say, unless they cannot be right.
struct Lag: Hashable, Sendable {
  /// Seconds; nil when it is not known.
  var seconds: Double?
  /// Why it is not known though there is a point; empty otherwise.
  var reason = ""

  /// Seconds by which a point may be dated ahead of now: clocks are slewed, and offsets have errors.
  private static let tolerance = 5.0

  /// No point, no age.
  static let none = Lag(seconds: nil)

  /// - Parameters:
  ///   - takenAt: by the source's clock.
  ///   - offset: the source's clock minus this one, in nanoseconds.
  init(since takenAt: Timestamp, now: Timestamp, offset: Int64 = 0) {
    let age = now.seconds(since: takenAt) + Double(offset) / 1e9
    guard age >= -Self.tolerance else {
      reason = "the newest point is dated \(Int(min(-age, 1e12))) s ahead of now: a clock was set back since"
      return
    }
    seconds = max(0, age)
  }

  private init(seconds: Double?) { self.seconds = seconds }
}
