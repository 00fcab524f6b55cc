import AgentService
import BlockDiff
import GRDB
import ReplModel
import Synchronization
import WireProtocol
import WireTransport

/// Pairing tokens: made, listed, judged and withdrawn.
extension TrustStore {
  /// Tokens that are good at once.
  static let tokenLimit = 256

  /// Makes a token and keeps its secret; its text form is shown once.
  ///
  /// - Parameter cluster: the only cluster that may use it; nil: the first that proves it.
  func makeToken(for cluster: String? = nil) throws(ReplError) -> String {
    if let cluster, !ClusterID.isValid(cluster) || cluster == configuration.clusterID {
      throw ReplError(
        .invalid, subject: "cluster '\(cluster)'", cause: "cannot be paired with this one",
        remedy: "name the clusterID of the other site")
    }
    let token = try PairingToken.make(authority: authority, clusterID: configuration.clusterID)
    let record = TokenRecord(
      secret: token.secret, createdAt: clock.now(), secondsLeft: Double(PairingTokenState.lifetime) / 1e9,
      boundCluster: cluster)
    try database.write { database in
      try TokenRecord.removeOver(database, now: record.createdAt)
      guard try TokenRecord.all(database).count < Self.tokenLimit else {
        throw ReplError(
          .refused, subject: "pairing tokens", cause: "\(Self.tokenLimit) are good already",
          remedy: "withdraw some: replctl pair token list, replctl pair token delete ID")
      }
      try record.insert(database)
    }
    return try token.text()
  }

  /// Every token that is good, oldest first, without its secret.
  func tokens() throws(ReplError) -> [PairingTokenReport] {
    let now = clock.now()
    return try database.read { try TokenRecord.all($0) }.compactMap { record in
      let byClock = Double(PairingTokenState.lifetime) / 1e9 - now.seconds(since: record.createdAt)
      let left = min(record.secondsLeft, byClock)
      guard left > 0 else { return nil }
      return PairingTokenReport(
        id: Self.id(of: record), createdAt: record.createdAt.rfc3339,
        expiresAt: Timestamp(nanoseconds: now.nanoseconds + Int64(left * 1e9)).rfc3339,
        boundCluster: record.boundCluster ?? "", usedBy: record.ownerCluster ?? "")
    }
  }

  /// Withdraws a token. A cluster that has paired with it stays trusted.
  ///
  /// - Parameter id: as ``tokens()`` gives it, or the beginning of one that no other has.
  func deleteToken(_ id: String) throws(ReplError) -> PairingTokenReport {
    let found = try tokens().filter { !id.isEmpty && $0.id.hasPrefix(id.lowercased()) }
    guard let token = found.first else {
      throw ReplError(
        .notFound, subject: "pairing token '\(id)'", cause: "no such token", remedy: "see replctl pair token list")
    }
    guard found.count == 1 else {
      throw ReplError(
        .invalid, subject: "pairing token '\(id)'", cause: "\(found.count) tokens begin so",
        remedy: "give more of the id")
    }
    try database.write { database in
      for record in try TokenRecord.all(database) where Self.id(of: record) == token.id { try record.delete(database) }
    }
    return token
  }

  /// The token with this id, or nil.
  func token(_ id: PairingTokenID) throws(ReplError) -> PairingTokenState? {
    for record in try database.read({ try TokenRecord.all($0) }) {
      guard PairingTokenID(secret: record.secret, crypto: .system) == id else { continue }
      return tries.withLock { kept in
        if let state = kept[record.secret], state.ownerKey == record.ownerKey { return state }
        return PairingTokenState(
          id: id, secret: record.secret, madeAt: record.createdAt, boundCluster: record.boundCluster,
          ownerKey: record.ownerKey, ownerCluster: record.ownerCluster)
      }
    }
    return nil
  }

  /// Remembers the wrong tries of a token.
  func noteTries(_ token: PairingTokenState) {
    tries.withLock { tries in
      // Those of tokens that are gone are worth nothing; there are never many.
      if tries.count > Self.tokenLimit { tries = [:] }
      tries[token.secret] = token
    }
  }

  /// Records that a token was proved: its owner and the peer's pin in one transaction, which a revocation comes before or
  /// after.
  ///
  /// - Throws: `.unauthenticated` for a token withdrawn meanwhile, `.refused` when another authority is pinned for the
  ///   cluster: the token stays whose it was.
  func admit(_ peer: PeerRecord, by token: PairingTokenState) throws(ReplError) {
    try database.write { database in
      guard let kept = try TokenRecord.find(database, secret: token.secret), let key = token.ownerKey,
        kept.ownerKey == nil || kept.ownerKey == key
      else {
        throw ReplError(
          .unauthenticated, subject: "token", cause: "was withdrawn",
          remedy: "make a new one with replctl pair token at the target cluster")
      }
      try peer.save(database)
      try TokenRecord.give(database, secret: token.secret, key: key, cluster: peer.cluster)
    }
  }

  private static func id(of record: TokenRecord) -> String {
    PairingTokenID(secret: record.secret, crypto: .system).bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
      .joined()
  }
}
