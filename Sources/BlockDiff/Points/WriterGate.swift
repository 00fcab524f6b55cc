import Glibc

/// Counts who is writing into a file, and shuts writers out: once ``shut(drainedWithin:)`` has returned true nobody is
/// inside, and who came before it never enters again. Any thread may call.
///
/// `@unchecked Sendable`: `state` is touched only while `mutex` is held.
final class WriterGate: @unchecked Sendable {
  private struct State {
    /// Writers let in since the gate was last opened have this number.
    var generation: UInt64 = 1
    var isOpen = true
    var inside = 0
  }

  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let emptied = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var state = State()

  init() {
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(emptied, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(emptied)
    pthread_mutex_destroy(mutex)
    emptied.deallocate()
    mutex.deallocate()
  }

  /// What a writer that begins now enters with.
  var generation: UInt64 { locked { $0.generation } }

  /// Whether nobody is inside at this moment.
  var isEmpty: Bool { locked { $0.inside == 0 } }

  /// Lets a writer in that must ``leave()``; nil stands for one that was never shut out. False once the gate has been
  /// shut since the writer's generation.
  func enter(_ generation: UInt64?) -> Bool {
    locked { state in
      guard state.isOpen, generation ?? state.generation == state.generation else { return false }
      state.inside += 1
      return true
    }
  }

  func leave() {
    locked { state in
      state.inside -= 1
      if state.inside == 0 { pthread_cond_broadcast(emptied) }
    }
  }

  /// Lets nobody in any more and waits until those inside have left; whether they have.
  func shut(drainedWithin limit: Duration) -> Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    if state.isOpen { state.generation += 1 }
    state.isOpen = false
    var end = timespec()
    clock_gettime(CLOCK_MONOTONIC, &end)
    let (seconds, attoseconds) = limit.components
    let nanoseconds = end.tv_nsec + Int(attoseconds / 1_000_000_000)
    end.tv_sec += Int(clamping: seconds) + nanoseconds / 1_000_000_000
    end.tv_nsec = nanoseconds % 1_000_000_000
    while state.inside > 0 {
      guard pthread_cond_timedwait(emptied, mutex, &end) == 0 else { break }
    }
    return state.inside == 0
  }

  /// Lets new writers in, of a new generation.
  func open() { locked { $0.isOpen = true } }

  private func locked<Value>(_ body: (inout State) -> Value) -> Value {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body(&state)
  }
}
