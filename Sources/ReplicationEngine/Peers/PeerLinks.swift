import Logging
import ReplModel
import Threads

/// The connections to all peers we are the source for. Any thread may call.
final class PeerLinks: Sendable {
  private let database: AgentDatabase
  private let network: any PeerNetwork
  private let clock: any EngineClock
  /// What is known of the clocks of peers that send heartbeats and get none.
  let heardClocks = HeardClocks()
  private let links = Locked<[String: PeerAgent]>([:])

  init(database: AgentDatabase, network: any PeerNetwork, clock: any EngineClock) {
    self.database = database
    self.network = network
    self.clock = clock
  }

  /// The connection to a peer, made when it is first used.
  func link(to cluster: String) throws(ReplError) -> PeerAgent {
    if let known = existing(cluster) { return known }
    guard let peer = try database.read({ try PeerRecord.find($0, cluster) }), !peer.host.isEmpty else {
      throw ReplError(
        .refused, subject: "cluster \(cluster)", cause: "is not paired with us", remedy: "replctl pair create")
    }
    return links.withLock { links in
      if let known = links[cluster] { return known }
      let made = PeerAgent(network.transport(to: peer), clock: clock)
      links[cluster] = made
      return made
    }
  }

  /// The connection if there is one.
  func existing(_ cluster: String) -> PeerAgent? { links.withLock { $0[cluster] } }

  /// Ends the connections to a peer that no pair is with any more: control and data, also those being made.
  func drop(_ cluster: String) {
    let link = links.withLock { $0.removeValue(forKey: cluster) }
    link?.end(
      ReplError(
        .unauthenticated, subject: "cluster \(cluster)", cause: "is not paired with us any more",
        remedy: "replctl pair create"))
  }

  /// Ends all connections because the agent is stopping.
  func stop() {
    for link in links.withLock({ Array($0.values) }) {
      link.end(ReplError(.transient, subject: "peer \(link.cluster)", cause: "the agent is stopping"))
    }
  }

  /// Peer's clock minus ours in nanoseconds: as measured, else as it was recorded before this start; nil when not known.
  func clockOffset(_ cluster: String) -> Int64? {
    existing(cluster)?.clockOffset ?? heardClocks.lastOffset(of: cluster)
  }
}
