import BlockDiff
import ReplModel
import ReplicationEngine
import Synchronization

/// Time that passes only when somebody sleeps or something happens. Shared by both agents; any thread may call.
final class VirtualClock: EngineClock {
  private let elapsed = Mutex<UInt64>(1_000_000_000)
  /// Nanoseconds that the wall clock was set by.
  private let step = Mutex<Int64>(0)

  func advance(seconds: Double) { elapsed.withLock { $0 += UInt64(seconds * 1e9) } }
  func now() -> Timestamp {
    Timestamp(nanoseconds: 1_700_000_000_000_000_000 + Int64(elapsed.withLock { $0 }) + step.withLock { $0 })
  }
  /// Sets the wall clock only.
  func setBack(seconds: Double) { step.withLock { $0 -= Int64(seconds * 1e9) } }
  func ticks() -> Double { Double(elapsed.withLock { $0 }) / 1e9 }
  func sleep(seconds: Double) { advance(seconds: seconds) }

  var elapsedClock: ElapsedClock {
    ElapsedClock(now: { self.elapsed.withLock { $0 } }, sleep: { self.advance(seconds: Double($0) / 1e9) })
  }
}
