public import APIModel
public import KubeModel
import Synchronization

/// One committed change of one object, as texts: an object made of many small parts takes several times as much, and few
/// who watch look into it.
public struct StoreChange: Sendable {
  public typealias Action = KubeEvent.Action

  public var action: Action
  /// Key of the kind: `migrations.stork.libopenstorage.org`.
  public var resource: String
  /// The new state; for a deletion the last one, with the version of the deletion.
  public var object: ObjectText
  /// The state before; nil for a new object.
  public var old: ObjectText?
  public var version: Int64

  /// Bytes this change holds in memory, about.
  var size: Int { object.text.count + (old?.text.count ?? 0) + 256 }
}

/// The newest changes in memory, from which every watcher reads at its own pace.
///
/// A watcher holds a position and no queue, so one that never reads costs nothing; when the journal has moved past it,
/// it is told that its version is too old. Bounded by count and bytes.
final class WatchHub: Sendable {
  private struct State {
    var entries: [StoreChange] = []
    /// Changes after this version are all here.
    var floor: Int64
    var bytes = 0
    var waiters: [Int: AsyncStream<Void>.Continuation] = [:]
    var nextWaiter = 0
    var finished = false
  }

  /// What a reader gets.
  enum Batch: Sendable {
    case changes([StoreChange])
    /// The position is older than the journal.
    case expired
    case finished
  }

  private let state: Mutex<State>
  private let maximumEntries: Int
  private let maximumBytes: Int

  init(version: Int64, maximumEntries: Int = 8_192, maximumBytes: Int = 8 << 20) {
    state = Mutex(State(floor: version))
    self.maximumEntries = maximumEntries
    self.maximumBytes = maximumBytes
  }

  /// Adds committed changes in the order of their versions and wakes the readers.
  func publish(_ changes: [StoreChange]) {
    guard !changes.isEmpty else { return }
    state.withLock { state in
      for change in changes {
        state.entries.append(change)
        state.bytes += change.size
      }
      var dropped = 0
      while state.entries.count - dropped > maximumEntries || state.bytes > maximumBytes, dropped < state.entries.count
      {
        state.bytes -= state.entries[dropped].size
        state.floor = state.entries[dropped].version
        dropped += 1
      }
      // At once: what is dropped and not removed is held all the same, and one change may have megabytes.
      state.entries.removeFirst(dropped)
      for waiter in state.waiters.values { waiter.yield() }
    }
  }

  /// Ends all readers.
  func finish() {
    state.withLock { state in
      state.finished = true
      for waiter in state.waiters.values { waiter.finish() }
      state.waiters = [:]
    }
  }

  /// Bytes of text handed out at once, where one change has no more.
  private static let batchBytes = 64 << 10

  /// Changes after a version: at most 256 at a time, and no more text than a watcher that stops reading may keep alive.
  func changes(after version: Int64) -> Batch {
    state.withLock { state in
      guard !state.finished else { return .finished }
      guard version >= state.floor else { return .expired }
      var low = 0
      var high = state.entries.count
      while low < high {
        let middle = (low + high) / 2
        if state.entries[middle].version > version { high = middle } else { low = middle + 1 }
      }
      let most = state.entries[low...].prefix(256)
      var bytes = 0
      let end = most.firstIndex { change in
        bytes += change.object.text.count
        return bytes > Self.batchBytes
      }
      return .changes(Array(most[..<max(end ?? most.endIndex, min(low + 1, most.endIndex))]))
    }
  }

  /// A signal that repeats whenever something was published; ends with the hub.
  func subscribe() -> (id: Int, signal: AsyncStream<Void>) {
    let (signal, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let id = state.withLock { state in
      if state.finished { continuation.finish() }
      state.nextWaiter += 1
      state.waiters[state.nextWaiter] = continuation
      return state.nextWaiter
    }
    return (id, signal)
  }

  func unsubscribe(_ id: Int) {
    state.withLock { $0.waiters.removeValue(forKey: id)?.finish() }
  }

  /// Repeats one reader's signal though nothing was published.
  func wake(_ id: Int) {
    _ = state.withLock { $0.waiters[id]?.yield() }
  }

  /// How many changes are held.
  var count: Int { state.withLock { $0.entries.count } }

  /// How many readers there are.
  var readers: Int { state.withLock { $0.waiters.count } }
}

/// A position in the changes of a store. Not shared: one task reads it.
public final class ObjectWatch: Sendable {
  private let hub: WatchHub
  private let id: Int
  private let signal: AsyncStream<Void>
  private let position: Mutex<Int64>
  private let woken = Atomic(false)

  init(hub: WatchHub, after version: Int64) {
    self.hub = hub
    (id, signal) = hub.subscribe()
    position = Mutex(version)
  }

  deinit { hub.unsubscribe(id) }

  /// Everything up to this version has been handed out.
  public var version: Int64 { position.withLock { $0 } }

  /// The next changes, waiting for them; empty after ``wake()``; nil at the end (store closed, ``stop()`` called or task cancelled).
  /// Throws 410 when changes were missed.
  public func next() async throws(StatusError) -> [StoreChange]? {
    var iterator = signal.makeAsyncIterator()
    while true {
      switch hub.changes(after: version) {
      case .finished: return nil
      case .expired:
        throw StatusError(410, "Expired", "too old resource version: \(version)")
      case .changes(let changes):
        if let last = changes.last {
          position.withLock { $0 = last.version }
          return changes
        }
        if woken.exchange(false, ordering: .relaxed) { return [] }
      }
      guard await iterator.next() != nil else { return nil }
    }
  }

  /// Makes a waiting ``next()`` return though nothing has changed.
  public func wake() {
    woken.store(true, ordering: .relaxed)
    hub.wake(id)
  }

  /// Ends the watch: a waiting ``next()`` returns nil.
  public func stop() { hub.unsubscribe(id) }
}
