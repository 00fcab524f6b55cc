import BlockDiff
import ReplModel
import Threads

/// Gives the files of each volume to one piece of work at a time: who has the turn may look at what is there, decide,
/// and change it. Any thread may call; a turn is not a lock, and nobody waits for a volume other than its own.
final class VolumeTurns: Sendable {
  private struct State {
    var taken: Set<SourceVolume> = []
    var waiting: [SourceVolume: Int] = [:]
  }

  private let waiters: Int
  private let state = Monitor(State())

  /// - Parameter waiters: most pieces of work that wait for one volume.
  init(waiters: Int) { self.waiters = waiters }

  /// Runs `body` when the turn at all these volumes has come. Not from within another turn at one of them.
  ///
  /// - Throws: `transient` when too many wait already or the time is over, and what `body` throws.
  func take<Value>(
    _ volumes: Set<SourceVolume>, within limit: Duration, _ body: () throws(ReplError) -> Value
  ) throws(ReplError) -> Value {
    try enter(volumes, within: limit)
    defer { state.change { $0.taken.subtract(volumes) } }
    return try body()
  }

  private func enter(_ volumes: Set<SourceVolume>, within limit: Duration) throws(ReplError) {
    let mayWait = state.change { state in
      guard volumes.allSatisfy({ state.waiting[$0, default: 0] < waiters }) else { return false }
      for volume in volumes { state.waiting[volume, default: 0] += 1 }
      return true
    }
    guard mayWait else { throw busy(volumes, "has too much work waiting") }
    let entered: Void? = state.wait(until: .after(limit)) { state in
      guard state.taken.isDisjoint(with: volumes) else { return nil }
      state.taken.formUnion(volumes)
    }
    state.change { state in
      for volume in volumes {
        state.waiting[volume, default: 1] -= 1
        if state.waiting[volume] == 0 { state.waiting[volume] = nil }
      }
    }
    guard entered == nil else { return }
    throw busy(volumes, "is still being worked on by an earlier request")
  }

  private func busy(_ volumes: Set<SourceVolume>, _ cause: String) -> ReplError {
    ReplError(
      .transient, subject: volumes.min { $0.volume < $1.volume }.map { "\($0)" } ?? "the group", cause: cause,
      remedy: "try again when it is done")
  }
}
