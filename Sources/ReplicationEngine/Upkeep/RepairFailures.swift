import ReplModel
import Threads

/// Counts how repairs of points fail: the same way three times, and the point is left alone until the agent starts
/// again. Any thread may call.
final class RepairFailures: Sendable {
  /// Most identical failures.
  static let limit = 3

  private struct Entry {
    var kind: ReplError.Kind
    var count: Int
  }

  private struct State {
    var failures: [PointID: Entry] = [:]
    var busyPeers: Set<String> = []
  }

  private let state = Locked(State())

  func mayTry(_ point: PointID) -> Bool { state.withLock { ($0.failures[point]?.count ?? 0) < Self.limit } }

  /// Returns whether this was the last try.
  func record(_ error: ReplError, of point: PointID) -> Bool {
    state.withLock { state in
      let before = state.failures[point]
      let count = before?.kind == error.kind ? (before?.count ?? 0) + 1 : 1
      state.failures[point] = Entry(kind: error.kind, count: count)
      return count == Self.limit
    }
  }

  func clear(_ point: PointID) { state.withLock { $0.failures[point] = nil } }

  /// One run per peer at a time; false while one is under way.
  func begin(_ peer: String) -> Bool { state.withLock { $0.busyPeers.insert(peer).inserted } }
  func end(_ peer: String) { state.withLock { _ = $0.busyPeers.remove(peer) } }
}
