import ReplModel
import Threads

/// Which peers' points were found damaged here and wait for the source to ship the damaged segments again, and which
/// points are being rewritten right now. Any thread may call.
final class RepairBoard: Sendable {
  private struct State {
    var wanted: Set<String> = []
    var claimed: Set<PointID> = []
  }

  private let state = Locked(State())

  func want(from cluster: String) { state.withLock { _ = $0.wanted.insert(cluster) } }
  func isWanted(from cluster: String) -> Bool { state.withLock { $0.wanted.contains(cluster) } }
  func settle(_ cluster: String) { state.withLock { _ = $0.wanted.remove(cluster) } }

  /// Takes a point for one repair; false while another one has it.
  func claim(_ point: PointID) -> Bool { state.withLock { $0.claimed.insert(point).inserted } }
  func release(_ point: PointID) { state.withLock { _ = $0.claimed.remove(point) } }

  /// Wants a peer's repairs as long as any of its points is damaged.
  func review(_ cluster: String, in database: AgentDatabase) throws(ReplError) {
    if try database.read({ try CatalogPoint.damaged($0, cluster: cluster) }).isEmpty {
      settle(cluster)
    } else {
      want(from: cluster)
    }
  }
}
