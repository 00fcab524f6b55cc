import AgentService
import Foundation
import GRDB
import ReplModel
import WireProtocol
import WireTransport

/// ClusterPair objects and the trust they share. Calls block.
struct PairService: Sendable {
  let configuration: EngineConfiguration
  let database: AgentDatabase
  let trust: TrustStore
  let links: PeerLinks
  let clock: any EngineClock
  let events: TrustEvents
  /// Ends what a cluster has open at this agent: connections, handshakes, tickets, sessions.
  let cutOff: @Sendable (String) -> Void

  /// Proves the token of a pair object, unless this very token was proved before, and finds out whether the peer lives.
  func pair(_ request: PairRequest) throws(ReplError) -> PairReport {
    let hash = try Crypto.sha256(Array(request.token.utf8))
    let known = try database.read { try PairRecord.all($0) }.first { $0.reference.uid == request.reference.uid }
    if let known, known.tokenHash == hash, try trust.isTrusted(known.peer) {
      return try refresh(known, request)
    }
    let peer = try PairingInitiator(configuration: configuration, trust: trust, clock: clock)
      .pair(host: request.host, port: request.port, token: request.token)
    let pair = PairRecord(
      reference: request.reference, peer: peer.cluster, host: request.host, port: request.port, mode: request.mode,
      tokenHash: hash)
    try database.write { database in
      // Throws when another authority was pinned for the name meanwhile: nothing is changed then.
      try peer.save(database)
      try pair.save(database)
      // The object was with another cluster before: trust in that one ends as if its pair had been deleted.
      if let old = known?.peer, old != peer.cluster { try endTrust(in: old, now: false, database) }
    }
    if let old = known?.peer, old != peer.cluster, !(try isPaired(old)) { links.drop(old) }
    let link = try links.link(to: peer.cluster)
    link.move(host: request.host, port: request.port)
    _ = try? link.heartbeat()
    return report(pair)
  }

  func all() throws(ReplError) -> [PairReport] { try database.read { try PairRecord.all($0) }.map(report) }

  /// Forgets a pair object. With the last of a peer, trust goes on for `pairRetention`, or ends at once.
  func remove(_ reference: ObjectReference, now: Bool) throws(ReplError) {
    let pairs = try database.read { try PairRecord.all($0) }
    guard
      let pair = pairs.first(where: { $0.reference.uid == reference.uid })
        ?? pairs.first(where: {
          $0.reference.namespace == reference.namespace && $0.reference.name == reference.name
        })
    else { return }
    try database.write { database in
      try pair.delete(database)
      try endTrust(in: pair.peer, now: now, database)
    }
    guard try !isPaired(pair.peer) else { return }
    // Nothing of it is served while it is told.
    if now { cutOff(pair.peer) }
    sayGoodbye(pair.peer)
    links.drop(pair.peer)
    if now { sever(pair.peer, because: "its last pair was deleted with --now") }
  }

  /// What follows when a pin is gone. Only then: a handshake that is cut off finds none when it is tried again.
  private func sever(_ cluster: String, because reason: String) {
    links.drop(cluster)
    cutOff(cluster)
    events.ended(cluster, because: reason)
  }

  /// Counts down the trust that ends, and cuts off whose is over. Called about once a minute.
  func tend() throws(ReplError) {
    for cluster in try trust.countDown() { sever(cluster, because: "its last pair was deleted pairRetention ago") }
  }

  private func isPaired(_ cluster: String) throws(ReplError) -> Bool {
    try database.read { try PairRecord.all($0) }.contains { $0.peer == cluster }
  }

  /// Sets when trust in a cluster ends that no pair of ours is with any more.
  private func endTrust(in cluster: String, now: Bool, _ database: Database) throws {
    guard let peer = try PeerRecord.find(database, cluster),
      try !PairRecord.all(database).contains(where: { $0.peer == cluster })
    else { return }
    // A peer that was invited by a token of ours may have a pair of its own, which is not ours to end by itself.
    if now { return try PeerRecord.end(database, cluster) }
    let end = PeerTrust.ending(seconds: configuration.pairRetention)
    try PeerRecord.setTrust(database, cluster, peer.invited ? .lasting : end, invited: peer.invited)
  }

  /// Tells a peer that answers that the last pair with it is gone. One that does not keeps its trust in us, which is its
  /// own affair.
  private func sayGoodbye(_ cluster: String) {
    guard let link = links.existing(cluster), link.lastError == nil, link.clockOffset != nil else { return }
    _ = try? link.request(.unpair(Unpair()), timeout: 5)
  }

  /// Clusters whose authority is pinned here, whoever began it.
  func peers() throws(ReplError) -> [PeerReport] {
    let (peers, pairs) = try database.read { (try PeerRecord.all($0), try PairRecord.all($0)) }
    return peers.map { peer in
      var report = PeerReport(
        cluster: peer.cluster, node: peer.node, invited: peer.invited,
        pairs: pairs.filter { $0.peer == peer.cluster }.map { "\($0.reference.namespace)/\($0.reference.name)" },
        trustEndsAt: end(of: peer.trust))
      let link = links.existing(peer.cluster)
      let heard = [link?.secondsSinceHeard, links.heardClocks.secondsSinceHeard(peer.cluster, clock: clock)]
      report.secondsSinceHeard = heard.compactMap(\.self).min()
      let offset = link?.clockOffset ?? links.heardClocks.offset(of: peer.cluster)
      report.clockOffsetSeconds = offset.map { Double($0) / 1e9 }
      return report
    }
  }

  private func end(of trust: PeerTrust) -> String {
    switch trust {
    case .lasting: ""
    case .ending(let seconds):
      Timestamp(nanoseconds: clock.now().nanoseconds + Int64(min(seconds, 1e9) * 1e9)).rfc3339
    case .ended: PeerReport.ended
    }
  }

  /// Ends all trust in a cluster at once: pin, invitation and connections. Pairs with it must be gone before.
  func revoke(_ cluster: String) throws(ReplError) {
    let (peer, pairs) = try database.read { (try PeerRecord.find($0, cluster), try PairRecord.all($0)) }
    guard let peer, peer.trust != .ended else {
      throw ReplError(.notFound, subject: "cluster \(cluster)", cause: "is not paired with this one")
    }
    if let pair = pairs.first(where: { $0.peer == cluster })?.reference {
      throw ReplError(
        .refused, subject: "cluster \(cluster)", cause: "ClusterPair \(pair.namespace)/\(pair.name) is with it",
        remedy: "replctl pair delete \(pair.name) -n \(pair.namespace) --now")
    }
    try database.write { try PeerRecord.end($0, cluster) }
    sever(cluster, because: "it was revoked here")
  }

  private func refresh(_ known: PairRecord, _ request: PairRequest) throws(ReplError) -> PairReport {
    var pair = known
    (pair.host, pair.port, pair.mode, pair.reference) = (request.host, request.port, request.mode, request.reference)
    if pair != known {
      try database.write { [pair] database in
        try pair.save(database)
        try PeerRecord.move(database, pair.peer, host: pair.host, port: pair.port)
      }
    }
    let link = try links.link(to: pair.peer)
    link.move(host: pair.host, port: pair.port)
    _ = try? link.heartbeat()
    return report(pair)
  }

  private func report(_ pair: PairRecord) -> PairReport {
    let link = links.existing(pair.peer)
    let offset = link?.clockOffset
    let error = link?.lastError
    return PairReport(
      reference: pair.reference, peerClusterID: pair.peer, host: pair.host, port: pair.port, mode: pair.mode,
      ready: offset != nil && error == nil,
      reason: error.map { "\($0)" } ?? (offset == nil ? "not contacted yet" : ""),
      wasAsked: error != nil || offset != nil, clockOffsetSeconds: offset.map { Double($0) / 1e9 },
      secondsSinceHeard: link?.secondsSinceHeard)
  }
}
