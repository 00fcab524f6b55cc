/// How long a session goes on trying: pauses grow to half a minute, and end when failures have brought the target nothing
/// for a while. How long an attempt lasted before the first of them does not count.
struct Patience {
  /// Seconds from the first of failures without progress after which a session fails; the next Migration starts cleanly.
  static let limit: Double = 600
  private let clock: any EngineClock
  private var failures = 0
  private var bytesSeen: UInt64 = 0
  private var failingSince: Double?

  init(clock: any EngineClock) { self.clock = clock }

  /// - Parameter done: bytes that the target has durable, as far as is known. Bytes on the wire are no progress: what is
  ///   cut before it is durable is sent again. Less than ``RequestTimeout/leastMove`` more is none either.
  mutating func mayTryAgain(done: UInt64) -> Bool {
    let now = clock.ticks()
    if done >= bytesSeen.addingSaturating(RequestTimeout.leastMove) {
      bytesSeen = done
      failures = 0
      failingSince = nil
    }
    let since = failingSince ?? now
    failingSince = since
    return now - since < Self.limit
  }

  /// Seconds: 0.25, 0.5, 1 … 30.
  mutating func nextPause() -> Double {
    defer { failures += 1 }
    return min(0.25 * Double(1 << min(failures, 7)), 30)
  }
}
