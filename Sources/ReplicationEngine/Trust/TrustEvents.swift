import AgentService
import ReplModel

/// Tells people what becomes of the trust in a cluster: at its ClusterPairs, or at this node where there are none.
struct TrustEvents: Sendable {
  let database: AgentDatabase
  let hub: EventHub
  /// Name of this node.
  let node: String

  /// A cluster has proved a token of ours.
  func paired(_ peer: PeerRecord) {
    post(
      peer.cluster, "Paired",
      "Cluster \(peer.cluster) (node \(peer.node), from \(peer.lastAddress)) paired with a token of this agent")
  }

  /// Somebody proved a token under a name that is another's.
  func refused(_ newcomer: PeerRecord, _ error: ReplError) {
    let known = (try? database.read { try PeerRecord.find($0, newcomer.cluster) }) ?? nil
    let address = [known?.lastAddress, known?.host].compactMap { $0 }.first { !$0.isEmpty } ?? "an unknown address"
    post(
      newcomer.cluster, warning: true, "PairingRefused",
      "A machine at \(newcomer.lastAddress) (node \(newcomer.node)) proved a token as cluster \(newcomer.cluster), which is"
        + " paired with the one at \(address) (node \(known?.node ?? "unknown")): \(error)")
  }

  /// The peer has taken back its last pair with us.
  func takenBack(_ cluster: String) {
    post(
      cluster, "PairEnded",
      "Cluster \(cluster) has no pair with this one any more; it is trusted as long as there is one here, and a while longer"
    )
  }

  /// Nothing of the cluster is let in any more, and what was open is closed.
  func ended(_ cluster: String, because reason: String) {
    post(
      cluster, warning: true, "TrustEnded",
      "Cluster \(cluster) is trusted no more: \(reason). Its connections, sessions and unused tokens have ended; points stay"
    )
  }

  private func post(_ cluster: String, warning: Bool = false, _ reason: String, _ message: String) {
    let pairs = ((try? database.read { try PairRecord.all($0) }) ?? []).filter { $0.peer == cluster }.map(\.reference)
    let here = ObjectReference(kind: "Node", namespace: "", name: node, uid: "")
    for object in pairs.isEmpty ? [here] : pairs { hub.post(object, warning: warning, reason, message) }
  }
}
