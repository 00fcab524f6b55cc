import Glibc
public import ReplModel
import Threads

/// Called before `bytes` are read in the background: waits as long as the rate limit asks, and throws `cancelled` when
/// the work is to stop.
public typealias Pace = (_ bytes: UInt64) throws(ReplError) -> Void

/// Elapsed time and waiting, given from outside so that tests need neither.
public struct ElapsedClock: Sendable {
  /// Nanoseconds since an arbitrary start; never steps.
  public let now: @Sendable () -> UInt64
  /// Blocks the calling thread for that many nanoseconds.
  public let sleep: @Sendable (UInt64) -> Void

  public init(now: @escaping @Sendable () -> UInt64, sleep: @escaping @Sendable (UInt64) -> Void) {
    self.now = now
    self.sleep = sleep
  }

  /// CLOCK_MONOTONIC and nanosleep.
  public static let system = ElapsedClock(
    now: { MonotonicClock.now() },
    sleep: { nanoseconds in
      var wanted = timespec(
        tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
      var rest = timespec()
      while nanosleep(&wanted, &rest) != 0, errno == EINTR { wanted = rest }
    })
}

/// Bytes per second for background reading. Any thread may call; callers that overlap share the rate.
public final class RateLimiter: Sendable {
  private struct State {
    var bytesPerSecond: UInt64
    /// When the bytes spent so far are paid for, in nanoseconds of the clock.
    var paidAt: UInt64
  }

  private let clock: ElapsedClock
  private let state: Locked<State>

  /// - Parameter bytesPerSecond: 0 means no limit.
  public init(bytesPerSecond: UInt64, clock: ElapsedClock = .system) {
    self.clock = clock
    state = Locked(State(bytesPerSecond: bytesPerSecond, paidAt: clock.now()))
  }

  /// Books `bytes` and waits until earlier ones are paid for. Idle time is not saved up.
  public func spend(_ bytes: UInt64) {
    let now = clock.now()
    let wait: UInt64 = state.withLock { state in
      guard state.bytesPerSecond > 0 else { return 0 }
      let start = max(state.paidAt, now)
      let cost = Double(bytes) * 1e9 / Double(state.bytesPerSecond)
      state.paidAt = start + UInt64(min(cost, 3.6e12))
      return start - now
    }
    if wait > 0 { clock.sleep(wait) }
  }
}
