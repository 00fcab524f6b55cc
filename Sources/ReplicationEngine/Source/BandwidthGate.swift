import BlockDiff
import Foundation
import ReplModel
import Threads
import WireProtocol

/// Holds back what all sessions send together to the configured bytes a second. Any thread may call.
final class BandwidthGate: Sendable {
  private let clock: ElapsedClock
  private let secondOfDay: @Sendable () -> Int
  private let bucket: Locked<TokenBucket>

  /// - Parameter secondOfDay: by local clocks, 0 to 86,399.
  init(
    _ schedule: BandwidthSchedule, clock: ElapsedClock = .system, secondOfDay: @escaping @Sendable () -> Int
  ) {
    self.clock = clock
    // Without windows nobody asks for the time of day.
    self.secondOfDay = schedule.windows.isEmpty ? { @Sendable in 0 } : secondOfDay
    bucket = Locked(TokenBucket(schedule))
  }

  /// Books bytes that are about to be sent, and waits until those before are paid for. Returns the nanoseconds waited.
  @discardableResult
  func spend(_ bytes: UInt64) -> UInt64 {
    let (now, second) = (clock.now(), secondOfDay())
    let wait = bucket.withLock { $0.take(Int(clamping: bytes), at: now, secondOfDay: second) }
    if wait > 0 { clock.sleep(wait) }
    return wait
  }
}

extension TimeZone {
  /// Seconds since midnight, by the clocks of the zone at an instant.
  func secondOfDay(at instant: Timestamp) -> Int {
    let utc = instant.nanoseconds / 1_000_000_000
    let local = Int(utc) + secondsFromGMT(for: Date(timeIntervalSince1970: Double(utc)))
    let second = local % BandwidthSchedule.secondsPerDay
    return second < 0 ? second + BandwidthSchedule.secondsPerDay : second
  }
}
