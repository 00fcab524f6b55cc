import ReplModel
import ReplicationEngine
import Synchronization

/// A clock that a test sets.
final class TestClock: EngineClock {
  /// What becomes of who sleeps.
  enum Sleep {
    /// The time passes at once.
    case passes
    /// Nothing passes but real time: for agents, whose upkeep would run ahead of the test.
    case isReal
  }

  private let sleep: Sleep
  private let seconds = Mutex<Double>(1_700_000_000)
  private let stepped = Mutex<Double>(0)

  init(sleep: Sleep = .passes) { self.sleep = sleep }

  /// Time passes.
  func advance(seconds step: Double) { seconds.withLock { $0 += step } }
  /// Somebody sets the clock.
  func step(seconds: Double) { stepped.withLock { $0 += seconds } }
  func now() -> Timestamp {
    Timestamp(nanoseconds: Int64(seconds.withLock { $0 } + stepped.withLock { $0 }) * 1_000_000_000)
  }
  func ticks() -> Double { seconds.withLock { $0 } }
  func sleep(seconds: Double) {
    switch sleep {
    case .passes: advance(seconds: seconds)
    case .isReal: SystemClock().sleep(seconds: seconds)
    }
  }
}
