import BlockDiff
import GRDB
import ReplModel
import Threads
import WireProtocol
import WireTransport

/// Who we are to peers and whom we trust: our CA, the leaf in use, pinned CAs and pairing tokens. Any thread may call.
final class TrustStore: Sendable {
  let authority: CertificateAuthority
  let configuration: EngineConfiguration
  let database: AgentDatabase
  let clock: any EngineClock
  private let leaf = Turn<(identity: LeafIdentity, madeAt: Int64)?>(nil)
  private let pairingKey = Turn<LeafIdentity?>(nil)
  /// Counts of wrong tries by token, kept in memory: a restart is slower than a minute of tries.
  let tries = Locked<[[UInt8]: PairingTokenState]>([:])
  /// Up to which of the clock's ticks trust was counted down.
  private let counted: Turn<Double>
  /// Seconds a leaf is valid; it is replaced when two thirds of that are over.
  private static let leafLife: Int64 = 30 * 86400
  /// Seconds the clock may go back before the leaf is replaced: one that was made by a clock that was ahead is not valid
  /// yet to everybody else.
  private static let stepBack: Int64 = 300

  init(configuration: EngineConfiguration, database: AgentDatabase, clock: any EngineClock) throws(ReplError) {
    self.configuration = configuration
    self.database = database
    self.clock = clock
    counted = Turn(clock.ticks())
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

  /// The leaf to show in the next handshake; a new one is issued in time, without a restart, and whenever the clock shows
  /// that the present one was made at a wrong time.
  func identity() throws(ReplError) -> LeafIdentity {
    let now = clock.now().nanoseconds / 1_000_000_000
    return try leaf.take { (leaf) throws(ReplError) in
      if let leaf, (leaf.madeAt - Self.stepBack..<leaf.madeAt + Self.leafLife * 2 / 3).contains(now) {
        return leaf.identity
      }
      let fresh = try authority.issueLeaf(
        clusterID: configuration.clusterID, node: configuration.node, validity: .seconds(Self.leafLife), now: now)
      leaf = (fresh, now)
      return fresh
    }
  }

  /// The key we pair with; kept for as long as the agent runs, so that a pairing can be repeated.
  func pairingIdentity() throws(ReplError) -> LeafIdentity {
    let directory = configuration.stateDirectory + "/pki"
    return try pairingKey.take { (key) throws(ReplError) in
      if let key { return key }
      let fresh = try PairingKeyFile.loadOrCreate(directory: directory)
      key = fresh
      return fresh
    }
  }

  /// CAs pinned at this moment, for the handshake.
  func pinnedAuthorities() -> [PinnedAuthority] {
    let peers = (try? database.read { try PeerRecord.all($0) }) ?? []
    return peers.filter { $0.trust != .ended }.map(\.pin)
  }

  /// Whether a cluster's pin opens connections.
  func isTrusted(_ cluster: String) throws(ReplError) -> Bool {
    try database.read { try PeerRecord.find($0, cluster) }.map { $0.trust != .ended } ?? false
  }

  /// A peer has taken back its last pair with us: it is trusted only as long as we have one with it, and a while longer.
  ///
  /// - Returns: false when it was not invited any more.
  func takeBackInvitation(of cluster: String) throws(ReplError) -> Bool {
    try database.write { database in
      guard let peer = try PeerRecord.find(database, cluster), peer.invited else { return false }
      let hasPair = try PairRecord.all(database).contains { $0.peer == cluster }
      try PeerRecord.setTrust(
        database, cluster, hasPair ? .lasting : .ending(seconds: configuration.pairRetention), invited: false)
      return true
    }
  }

  /// Counts the time that has passed since the last call; gives the clusters whose trust is over now. Called about once a
  /// minute.
  func countDown() throws(ReplError) -> [String] {
    try counted.take { (counted) throws(ReplError) in
      let ticks = clock.ticks()
      let (seconds, now) = (max(0, ticks - counted), clock.now())
      let over = try database.write { database in
        try TokenRecord.countDown(database, seconds: seconds, now: now)
        return try PeerRecord.countDown(database, seconds: seconds)
      }
      counted = ticks
      return over
    }
  }
}
