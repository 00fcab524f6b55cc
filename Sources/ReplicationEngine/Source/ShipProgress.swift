import Synchronization

/// What a session has done so far; written by its stream threads, read by whoever asks for progress.
final class ShipProgress: Sendable {
  struct Counts: Sendable {
    /// Bytes the plan covers.
    var planned: UInt64 = 0
    /// Bytes of the plan worked off.
    var done: UInt64 = 0
    /// Bytes that differ and were shipped, before compression.
    var changed: UInt64 = 0
    /// Bytes on data streams that are finished.
    var wire: UInt64 = 0
  }

  private let counts = Mutex(Counts())
  private let cancelRequested = Atomic<Bool>(false)

  var snapshot: Counts { counts.withLock { $0 } }
  var isCancelled: Bool { cancelRequested.load(ordering: .relaxed) }

  func cancel() { cancelRequested.store(true, ordering: .relaxed) }

  /// A new attempt works the whole plan off again; what went over the wire stays counted.
  func restart(planned: UInt64) {
    counts.withLock {
      $0.planned = planned
      $0.done = 0
      $0.changed = 0
    }
  }

  func add(done: UInt64 = 0, changed: UInt64 = 0, wire: UInt64 = 0) {
    counts.withLock {
      $0.done += done
      $0.changed += changed
      $0.wire += wire
    }
  }
}
