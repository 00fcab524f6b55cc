import ReplModel
import ReplicationEngine
import Synchronization

/// A clock that a test sets.
final class TestClock: EngineClock {
  private let seconds = Mutex<Double>(1_700_000_000)

  func advance(seconds step: Double) { seconds.withLock { $0 += step } }
  func now() -> Timestamp { Timestamp(nanoseconds: Int64(seconds.withLock { $0 }) * 1_000_000_000) }
  func ticks() -> Double { seconds.withLock { $0 } }
  func sleep(seconds: Double) { advance(seconds: seconds) }
}
