import BlockDiff
import Glibc
public import ReplModel

/// The machine's clocks.
public struct SystemClock: EngineClock {
  public init() {}

  public func now() -> Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  public func ticks() -> Double { Double(MonotonicClock.now()) / 1e9 }

  public func sleep(seconds: Double) {
    guard seconds > 0 else { return }
    ElapsedClock.system.sleep(UInt64(seconds * 1e9))
  }
}
