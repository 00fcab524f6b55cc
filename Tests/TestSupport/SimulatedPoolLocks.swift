public import BlockDiff
public import ReplModel
import Synchronization

/// Pool locks without files: held by whoever took them until released or the object is gone.
public final class SimulatedPoolLocks: PoolLocking {
  private let held = Mutex<Set<String>>([])

  public init() {}

  public func lock(_ path: String) throws(ReplError) -> any PoolLockHandle {
    guard held.withLock({ $0.insert(path).inserted }) else {
      throw ReplError(.refused, subject: path, cause: "is held by another agent")
    }
    return Handle { [weak self] in self?.held.withLock { _ = $0.remove(path) } }
  }

  private final class Handle: PoolLockHandle {
    private let action: @Sendable () -> Void
    private let isHeld = Atomic<Bool>(true)

    init(_ action: @escaping @Sendable () -> Void) { self.action = action }

    deinit { release() }

    func release() {
      if isHeld.exchange(false, ordering: .acquiringAndReleasing) { action() }
    }
  }
}

/// Time that a test moves by hand; sleeping moves it. Any thread may call.
public final class ManualClock: Sendable {
  private let nanoseconds = Mutex<UInt64>(1_000_000_000)
  private let slept = Mutex<UInt64>(0)

  public init() {}

  public var now: UInt64 { nanoseconds.withLock { $0 } }
  /// Nanoseconds that were slept in all.
  public var sleptNanoseconds: UInt64 { slept.withLock { $0 } }
  public func advance(nanoseconds step: UInt64) { nanoseconds.withLock { $0 += step } }

  public var clock: ElapsedClock {
    ElapsedClock(
      now: { self.now },
      sleep: { step in
        self.advance(nanoseconds: step)
        self.slept.withLock { $0 += step }
      })
  }
}
