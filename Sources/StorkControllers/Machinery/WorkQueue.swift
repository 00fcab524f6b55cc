import Synchronization

/// Which object a reconciler looks at.
struct ObjectKey: Hashable, Sendable {
  var namespace: String
  var name: String
}

/// Keys waiting for work: none twice at once, none lost, each again when its time comes.
final class WorkQueue: Sendable {
  private struct State {
    var ready: [ObjectKey] = []
    var queued: Set<ObjectKey> = []
    var running: Set<ObjectKey> = []
    /// Asked for again while running.
    var again: Set<ObjectKey> = []
    /// The one planned revisit of a key; an older plan that wakes up finds another number and does nothing.
    var plan: [ObjectKey: Int] = [:]
    var nextPlan = 0
  }

  private let state = Mutex(State())
  private let wake: AsyncStream<Void>.Continuation
  /// Repeats whenever something became ready.
  let signal: AsyncStream<Void>

  init() {
    (signal, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
  }

  /// Asks for a key to be worked on as soon as possible.
  func add(_ key: ObjectKey) {
    state.withLock { state in
      if state.running.contains(key) {
        state.again.insert(key)
      } else if state.queued.insert(key).inserted {
        state.ready.append(key)
      }
    }
    wake.yield()
  }

  /// The next key to work on; nil when none is ready or `limit` are being worked on.
  func next(limit: Int) -> ObjectKey? {
    state.withLock { state in
      guard state.running.count < limit, !state.ready.isEmpty else { return nil }
      let key = state.ready.removeFirst()
      state.queued.remove(key)
      state.running.insert(key)
      state.plan[key] = nil
      return key
    }
  }

  /// Ends the work on a key and plans a revisit if one is wanted; the number is for ``due(_:plan:)``.
  func finish(_ key: ObjectKey, revisit: Bool) -> Int? {
    defer { wake.yield() }
    return state.withLock { state in
      state.running.remove(key)
      if state.again.remove(key) != nil {
        state.queued.insert(key)
        state.ready.append(key)
        return nil
      }
      guard revisit else { return nil }
      state.nextPlan += 1
      state.plan[key] = state.nextPlan
      return state.nextPlan
    }
  }

  /// Adds a key whose planned time has come, unless something else visited it since.
  func due(_ key: ObjectKey, plan: Int) {
    guard state.withLock({ $0.plan[key] == plan }) else { return }
    add(key)
  }
}
