import Threads

/// Counts who is writing into a file, and shuts writers out: once ``shut(drainedWithin:)`` has returned true nobody is
/// inside, and who came before it never enters again. Any thread may call.
final class WriterGate: Sendable {
  private struct State {
    /// Writers let in since the gate was last opened have this number.
    var generation: UInt64 = 1
    var isOpen = true
    var inside = 0
  }

  private let state = Monitor(State())

  /// What a writer that begins now enters with.
  var generation: UInt64 { state.look { $0.generation } }

  /// Whether nobody is inside at this moment.
  var isEmpty: Bool { state.look { $0.inside == 0 } }

  /// Lets a writer in that must ``leave()``; nil stands for one that was never shut out. False once the gate has been
  /// shut since the writer's generation.
  func enter(_ generation: UInt64?) -> Bool {
    state.change { state in
      guard state.isOpen, generation ?? state.generation == state.generation else { return false }
      state.inside += 1
      return true
    }
  }

  func leave() { state.change { $0.inside -= 1 } }

  /// Lets nobody in any more and waits until those inside have left; whether they have.
  func shut(drainedWithin limit: Duration) -> Bool {
    state.change { state in
      if state.isOpen { state.generation += 1 }
      state.isOpen = false
    }
    return state.wait(until: .after(limit)) { $0.inside == 0 ? true : nil } ?? false
  }

  /// Lets new writers in, of a new generation.
  func open() { state.change { $0.isOpen = true } }
}
