import BlockDiff
import Synchronization
import WireProtocol

/// Holds back what all sessions send together to the configured bytes a second. Any thread may call.
final class BandwidthGate: Sendable {
  private let clock: ElapsedClock
  private let bucket: Mutex<TokenBucket>

  /// - Parameter bytesPerSecond: nil for no limit.
  init(bytesPerSecond: UInt64?, clock: ElapsedClock = .system) {
    self.clock = clock
    bucket = Mutex(TokenBucket(BandwidthSchedule(bytesPerSecond: bytesPerSecond)))
  }

  /// Books bytes that are about to be sent, and waits until those before are paid for. Returns the nanoseconds waited.
  @discardableResult
  func spend(_ bytes: UInt64) -> UInt64 {
    let now = clock.now()
    let wait = bucket.withLock { $0.take(Int(clamping: bytes), at: now, secondOfDay: 0) }
    if wait > 0 { clock.sleep(wait) }
    return wait
  }
}
