import Glibc

/// State behind a lock of the threads library: the one kind of lock of everything below the control plane. It is held for a
/// moment, never over input and output or a question to somebody; what one at a time may do for long is a ``Turn``.
///
/// In place of `Synchronization.Mutex`, whose waits on Linux the thread sanitizer does not see: it reports every state
/// guarded by one as a race. This one it checks.
///
/// `@unchecked Sendable`: `state` is touched only while `mutex` is held.
public final class Locked<State: ~Copyable>: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var state: State

  public init(_ state: consuming sending State) {
    self.state = state
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  /// Runs `body` with the lock held. Not from within another `withLock` of the same object.
  public func withLock<Result, Failure: Error>(
    _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&state)
  }
}
