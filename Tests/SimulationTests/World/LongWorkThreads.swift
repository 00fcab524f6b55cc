import Synchronization

/// A target's threads for long work: they run at once, but for one that is held until the test lets it go.
final class LongWorkThreads: Sendable {
  private struct State {
    var holdsNext = false
    var held: (@Sendable () -> Void)?
  }
  private let state = Mutex(State())

  func holdNext() { state.withLock { $0.holdsNext = true } }

  func spawn(_ work: @escaping @Sendable () -> Void) {
    let isHeld = state.withLock { state in
      guard state.holdsNext else { return false }
      (state.holdsNext, state.held) = (false, work)
      return true
    }
    if !isHeld { work() }
  }

  func release() {
    let work = state.withLock { state in
      defer { state.held = nil }
      return state.held
    }
    work?()
  }
}
