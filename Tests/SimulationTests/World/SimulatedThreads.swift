import ReplModel
import Synchronization

@testable import ReplicationEngine

/// An agent's threads: their work is done at once, but for one that is held until the test lets it go.
final class SimulatedThreads: AgentThreads {
  private struct State {
    var holdsNext = false
    var held: (@Sendable () -> Void)?
  }
  private let state = Mutex(State())

  func holdNext() { state.withLock { $0.holdsNext = true } }

  func later(_ work: @escaping @Sendable () -> Void) { work() }

  func runAll(
    _ count: Int, limit: Int, _ job: @escaping @Sendable (Int) throws(ReplError) -> Void
  ) throws(ReplError) {
    try InlineThreads().runAll(count, limit: limit, job)
  }

  func start(_ name: String, _ work: @escaping @Sendable () -> Void) {
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
