import GRDB
import ReplModel
import Synchronization
import TestSupport

/// The power of one machine: when it is gone, neither the disk nor the database takes anything any more. Cut after so
/// many changes of the disk (``OperationGate/stopAfter(_:)``) or right after so many commits.
final class Power: TransactionObserver, Sendable {
  private struct State {
    var commits = 0
    var commitsLeft: Int?
    var isCut = false
  }

  private let gate: OperationGate
  private let state = Mutex(State())

  init(_ gate: OperationGate) { self.gate = gate }

  var isDown: Bool { gate.isStopped || state.withLock { $0.isCut } }

  /// Commits so far; what ``cutAfterCommits(_:)`` counts in.
  var commitCount: Int { state.withLock { $0.commits } }

  func cutAfterCommits(_ count: Int) { state.withLock { $0.commitsLeft = count } }

  func restore() {
    state.withLock { ($0.commitsLeft, $0.isCut) = (nil, false) }
    gate.reset()
  }

  func observes(eventsOfKind eventKind: DatabaseEventKind) -> Bool { true }
  func databaseDidChange(with event: DatabaseEvent) {}
  func databaseWillCommit() throws { if isDown { throw OperationGate.powerCut } }
  func databaseDidRollback(_ db: Database) {}

  func databaseDidCommit(_ db: Database) {
    let cuts = state.withLock { state in
      state.commits += 1
      guard let left = state.commitsLeft else { return false }
      state.commitsLeft = left > 1 ? left - 1 : nil
      state.isCut = left <= 1
      return state.isCut
    }
    if cuts { gate.stopAfter(0) }
  }
}
