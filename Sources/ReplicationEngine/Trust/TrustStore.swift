import BlockDiff
import Foundation
import GRDB
import ReplModel
import Synchronization
import WireProtocol
import WireTransport

/// Who we are to peers and whom we trust: our CA, the leaf in use, pinned CAs and pairing tokens. Any thread may call.
final class TrustStore: Sendable {
  let authority: CertificateAuthority
  private let configuration: EngineConfiguration
  private let database: AgentDatabase
  private let clock: any EngineClock
  private let leaf = Mutex<(identity: LeafIdentity, renewAt: Int64)?>(nil)
  private let pairingKey = Mutex<LeafIdentity?>(nil)
  /// Seconds a leaf is valid; it is replaced when two thirds of that are over.
  private static let leafLife: Int64 = 30 * 86400

  init(configuration: EngineConfiguration, database: AgentDatabase, clock: any EngineClock) throws(ReplError) {
    self.configuration = configuration
    self.database = database
    self.clock = clock
    let directory = configuration.stateDirectory + "/pki"
    try Self.importAuthorityKey(configuration.authorityKeyFile, into: directory)
    authority = try CertificateAuthority.loadOrCreate(directory: directory)
  }

  /// Takes a CA key that the service manager hands over (systemd's LoadCredential), once: the key that is there stays,
  /// since peers have pinned it.
  private static func importAuthorityKey(_ file: String?, into directory: String) throws(ReplError) {
    let storage = LinuxStorage()
    guard let file, try storage.exists(file), try !storage.exists(directory + "/ca.key") else { return }
    try storage.writeFileDurably(directory + "/ca.key", try storage.readFile(file, limit: 64 << 10))
  }

  static let crypto = PairingCrypto(
    // HMAC of bytes in memory fails only when OpenSSL has no memory; an empty code then equals no proof.
    hmac: { key, message in (try? Crypto.hmacSHA256(key: key, message: message)) ?? [] },
    equalInConstantTime: { left, right in
      !left.isEmpty && !right.isEmpty && Crypto.equalConstantTime(left, right)
    })

  /// The leaf to show in the next handshake; a new one is issued in time, without a restart.
  func identity() throws(ReplError) -> LeafIdentity {
    let now = clock.now().nanoseconds / 1_000_000_000
    return try leaf.withLock { (leaf) throws(ReplError) in
      if let leaf, now < leaf.renewAt { return leaf.identity }
      let fresh = try authority.issueLeaf(
        clusterID: configuration.clusterID, node: configuration.node, validity: .seconds(Self.leafLife), now: now)
      leaf = (fresh, now + Self.leafLife * 2 / 3)
      return fresh
    }
  }

  /// The key we pair with; kept for as long as the agent runs, so that a pairing can be repeated.
  func pairingIdentity() throws(ReplError) -> LeafIdentity {
    let directory = configuration.stateDirectory + "/pki"
    return try pairingKey.withLock { (key) throws(ReplError) in
      if let key { return key }
      let fresh = try PairingKeyFile.loadOrCreate(directory: directory)
      key = fresh
      return fresh
    }
  }

  /// CAs pinned at this moment, for the handshake.
  func pinnedAuthorities() -> [PinnedAuthority] {
    let now = clock.now()
    let peers = (try? database.read { try PeerRecord.all($0) }) ?? []
    return peers.filter { $0.expiresAt.map { now < $0 } ?? true }
      .map { PinnedAuthority(clusterID: $0.cluster, caDER: $0.authority) }
  }

  /// A peer has taken back its last pair with us: it is trusted only as long as we have one with it, and a while longer.
  func takeBackInvitation(of cluster: String) throws(ReplError) {
    let end = Timestamp(nanoseconds: clock.now().nanoseconds + Int64(configuration.pairRetention * 1e9))
    try database.write { database in
      guard let peer = try PeerRecord.find(database, cluster), peer.invited else { return }
      let hasPair = try PairRecord.all(database).contains { $0.peer == cluster }
      try PeerRecord.setTrust(database, cluster, expiresAt: hasPair ? nil : end, invited: false)
    }
  }

  /// Clusters whose trust has run out.
  func expiredPeers() throws(ReplError) -> [String] {
    let now = clock.now()
    return try database.read { try PeerRecord.all($0) }.filter { $0.expiresAt.map { $0 <= now } ?? false }.map(
      \.cluster)
  }

  // MARK: Tokens

  /// Makes a token and keeps its secret; its text form is shown once.
  func makeToken() throws(ReplError) -> String {
    let token = try PairingToken.make(authority: authority, clusterID: configuration.clusterID)
    let now = clock.now()
    try database.write { database in
      let oldest = Timestamp(nanoseconds: now.nanoseconds - PairingTokenState.lifetime)
      try database.execute(sql: "DELETE FROM pairingToken WHERE createdAt < ?", arguments: [oldest])
      try database.execute(
        sql: "INSERT INTO pairingToken (secret, createdAt, failures) VALUES (?,?,?)",
        arguments: [Data(token.secret), now, Data()])
    }
    return try token.text()
  }

  /// The token with this id, or nil.
  func token(_ id: PairingTokenID) throws(ReplError) -> PairingTokenState? {
    let rows = try database.read { try Row.fetchAll($0, sql: "SELECT * FROM pairingToken") }
    for row in rows {
      guard let stored = Data.fromDatabaseValue(row["secret"]) else { continue }
      let secret = Array(stored)
      guard PairingTokenID(secret: secret, crypto: Self.crypto) == id else { continue }
      guard let madeAt = Timestamp.fromDatabaseValue(row["createdAt"]) else { continue }
      var reader = ByteReader(Array(Data.fromDatabaseValue(row["clientKey"]) ?? Data()))
      let owner = try? (reader.readBlob(limit: 1024), reader.readString(limit: 1024))
      return tries.withLock { kept in
        if let state = kept[secret], state.ownerKey == owner?.0 { return state }
        return PairingTokenState(
          id: id, secret: secret, madeAt: madeAt, ownerKey: owner?.0, ownerCluster: owner?.1)
      }
    }
    return nil
  }

  /// Counts of wrong tries, kept in memory: a restart is slower than a minute of tries.
  private let tries = Mutex<[[UInt8]: PairingTokenState]>([:])

  /// Keeps a token's state, and in the same transaction the peer it has paired.
  func save(_ token: PairingTokenState, peer: PeerRecord?) throws(ReplError) {
    tries.withLock { $0[token.secret] = token }
    var writer = ByteWriter()
    if let key = token.ownerKey, let cluster = token.ownerCluster {
      writer.writeBlob(key)
      writer.write(cluster)
    }
    let owner = writer.bytes
    try database.write { database in
      try database.execute(
        sql: "UPDATE pairingToken SET clientKey = ? WHERE secret = ?",
        arguments: [owner.isEmpty ? nil : Data(owner), Data(token.secret)])
      try peer?.save(database)
    }
  }
}
