import ReplModel
import Synchronization
import Threads

/// What a session has done so far; written by its stream threads, read by whoever asks for progress.
final class ShipProgress: Sendable {
  struct Counts: Sendable {
    /// Bytes the plan covers.
    var planned: UInt64 = 0
    /// Bytes of the plan worked off.
    var done: UInt64 = 0
    /// Bytes that differ and were shipped, before compression.
    var changed: UInt64 = 0
    /// Bytes on data streams.
    var wire: UInt64 = 0
    /// Bytes that the target has read for the proof.
    var proven: UInt64 = 0
    /// Most bytes that the target said it had durable: what an attempt is judged by.
    var durable: UInt64 = 0
  }

  /// Where the bytes of all sessions with the peer are counted; nil: nowhere.
  private let shipping: EngineMetrics.Shipping?
  private let counts: Locked<Counts>
  /// Data streams that are open: they count their bytes themselves.
  private let open = Locked<[any ChunkLink]>([])
  private let cancelRequested = Atomic<Bool>(false)

  /// - Parameter counts: what an earlier life of the run recorded; it was counted for the peer then.
  init(counts: Counts = Counts(), shipping: EngineMetrics.Shipping? = nil) {
    self.counts = Locked(counts)
    self.shipping = shipping
  }

  var snapshot: Counts {
    let sending = open.withLock { $0.reduce(0) { $0 + $1.bytesOnWire } }
    var now = counts.withLock { $0 }
    now.wire = now.wire.addingSaturating(sending)
    return now
  }

  func begin(_ stream: any ChunkLink) { open.withLock { $0.append(stream) } }

  func end(_ stream: any ChunkLink) {
    open.withLock { $0.removeAll { $0 === stream } }
    add(wire: stream.bytesOnWire)
  }

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

  /// What the target has durable at the beginning of an attempt: it was shipped by an earlier one, since it differed.
  func note(durable: UInt64) {
    counts.withLock {
      $0.durable = max($0.durable, durable)
      $0.changed = durable
    }
  }

  /// The target has all of it: nothing of the plan is left to be worked off.
  func complete() { counts.withLock { $0.done = $0.planned } }

  func add(done: UInt64 = 0, changed: UInt64 = 0, wire: UInt64 = 0, proven: UInt64 = 0) {
    counts.withLock {
      $0.done += done
      $0.changed += changed
      $0.wire += wire
      // The target says how much it has read.
      $0.proven = $0.proven.addingSaturating(proven)
    }
    if changed > 0 { shipping?.changed.increment(by: Int64(clamping: changed)) }
    if wire > 0 { shipping?.wire.increment(by: Int64(clamping: wire)) }
  }
}
