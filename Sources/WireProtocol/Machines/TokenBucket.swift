public import ReplModel

/// Limits what is sent. Pure; instants are passed in, in nanoseconds of a clock that never goes back.
///
/// Bytes are taken at once and may leave a debt, whose time the caller waits before it sends: whoever asks next waits
/// behind, so that streams share fairly and no chunk is larger than the bucket.
public struct TokenBucket: Hashable, Sendable {
  private let schedule: BandwidthSchedule
  /// Nanoseconds of the limit that may be saved up for a burst: 1/10 second.
  public static let burst: Double = 100_000_000

  /// Bytes that may be sent at ``updatedAt``; negative when there is a debt.
  private var tokens: Double = 0
  private var updatedAt: UInt64?

  public init(_ schedule: BandwidthSchedule) { self.schedule = schedule }

  /// Takes `bytes` and says how many nanoseconds to wait before sending them.
  public mutating func take(_ bytes: Int, at now: UInt64, secondOfDay: Int) -> UInt64 {
    guard let limit = schedule.limit(at: secondOfDay) else {
      (tokens, updatedAt) = (0, now)
      return 0
    }
    let rate = Double(max(limit, 1)) / 1e9
    let elapsed = updatedAt.map { now >= $0 ? Double(now - $0) : 0 } ?? Self.burst
    tokens = min(tokens + elapsed * rate, Self.burst * rate) - Double(bytes)
    updatedAt = now
    return tokens >= 0 ? 0 : UInt64(min(-tokens / rate, Double(Int64.max) / 2))
  }
}
