import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireTransport

@testable import ReplicationEngine
@testable import WireProtocol

/// Pairing tokens and pinned authorities as they are kept.
@Suite struct TrustStoreTests {
  private struct Site {
    let directory: TemporaryDirectory
    let clock = TestClock()
    let database: AgentDatabase

    init() throws {
      directory = try TemporaryDirectory()
      database = try AgentDatabase.inMemory()
      try LinuxStorage().makeDirectory(directory.path + "/pki")
    }

    func open() throws -> TrustStore {
      let configuration = EngineConfiguration(
        clusterID: "here", node: "node", stateDirectory: directory.path, pools: [], allowedPaths: [])
      return try TrustStore(configuration: configuration, database: database, clock: clock)
    }
  }

  private static func token(_ trust: TrustStore) throws -> (PairingTokenID, [UInt8]) {
    let token = try PairingToken(parsing: try trust.makeToken())
    return (PairingTokenID(secret: token.secret, crypto: PairingCrypto.system), token.secret)
  }

  private static let peer = PeerRecord(
    cluster: "there", node: "n", authority: [1, 2, 3], host: "", port: 9001)

  @Test("a token belongs to its first user, who may repeat it; after a restart too")
  func reuse() throws {
    let site = try Site()
    var trust = try site.open()
    let (id, _) = try Self.token(trust)
    var state = try #require(try trust.token(id))
    try state.use(clientKey: [1], cluster: "there", at: site.clock.now()) { true }
    try trust.admit(Self.peer, by: state)
    #expect(trust.pinnedAuthorities().map(\.clusterID) == ["there"])
    trust = try site.open()
    var stranger = try #require(try trust.token(id))
    let error = #expect(throws: ReplError.self) {
      try stranger.use(clientKey: [2], cluster: "elsewhere", at: site.clock.now()) { true }
    }
    #expect(error?.kind == .refused)
    var again = try #require(try trust.token(id))
    try again.use(clientKey: [1], cluster: "there", at: site.clock.now()) { true }
  }

  @Test("what a server shows as its authority after pairing has the key that the token names")
  func authorityOfTheToken() throws {
    let (trust, stranger) = (try Site().open(), try Site().open())
    let token = try PairingToken(parsing: try trust.makeToken())
    func record(_ authority: CertificateAuthority) throws -> PeerRecord {
      let hello = PairHello(
        major: Hello.protocolMajor, minor: 0, token: PairingTokenID(secret: token.secret, crypto: PairingCrypto.system),
        clusterID: token.clusterID, node: "n", software: "s", controlPort: 9001)
      return try PairingSide.record(
        PairedPeer(hello, caCertificate: authority.certificateDER), spkiHash: token.authorityHash, host: "h",
        port: 9001)
    }
    #expect(try record(trust.authority).authority == trust.authority.certificateDER)
    let error = #expect(throws: ReplError.self) { try record(stranger.authority) }
    #expect(error?.kind == .unauthenticated)
  }

  @Test("a token expires, and is gone when the next is made")
  func expiry() throws {
    let site = try Site()
    let trust = try site.open()
    let (id, _) = try Self.token(trust)
    site.clock.advance(seconds: 24 * 3600 + 1)
    var state = try #require(try trust.token(id))
    let error = #expect(throws: ReplError.self) {
      try state.use(clientKey: [1], cluster: "there", at: site.clock.now()) { true }
    }
    #expect(error?.kind == .unauthenticated)
    _ = try trust.makeToken()
    #expect(try trust.token(id) == nil)
  }

  @Test("an unknown token is none, and wrong tries are counted")
  func wrong() throws {
    let site = try Site()
    let trust = try site.open()
    #expect(try trust.token(PairingTokenID(secret: [9], crypto: PairingCrypto.system)) == nil)
    let (id, _) = try Self.token(trust)
    for _ in 1...PairingTokenState.tryLimit {
      var state = try #require(try trust.token(id))
      #expect(throws: ReplError.self) {
        try state.use(clientKey: [1], cluster: "there", at: site.clock.now()) { false }
      }
      trust.noteTries(state)
    }
    var state = try #require(try trust.token(id))
    let error = #expect(throws: ReplError.self) {
      try state.use(clientKey: [1], cluster: "there", at: site.clock.now()) { true }
    }
    #expect(error?.cause.contains("wrong tries") == true)
    #expect(trust.pinnedAuthorities().isEmpty)
  }

  @Test("trust ends when its time is over, whatever the clock says, and an address once known is not lost")
  func pinnedAuthorities() throws {
    let site = try Site()
    let trust = try site.open()
    var peer = Self.peer
    (peer.host, peer.trust) = ("192.0.2.7", .ending(seconds: 60))
    try site.database.write { [peer] in try peer.save($0) }
    site.clock.advance(seconds: 59)
    #expect(try trust.countDown().isEmpty)
    #expect(trust.pinnedAuthorities().count == 1)
    site.clock.step(seconds: 3600)
    #expect(try trust.countDown().isEmpty, "a clock that was set is no time that has passed")
    site.clock.advance(seconds: 1)
    #expect(try trust.countDown() == ["there"])
    #expect(trust.pinnedAuthorities().isEmpty)
    site.clock.step(seconds: -365 * 86400)
    #expect(try trust.countDown().isEmpty, "it is told once")
    #expect(trust.pinnedAuthorities().isEmpty, "a clock that goes back revives nobody")
    try site.database.write { try Self.peer.save($0) }
    #expect(trust.pinnedAuthorities().count == 1)
    #expect(try site.database.read { try PeerRecord.find($0, "there") }?.host == "192.0.2.7")
  }

  @Test("a leaf of a clock that was ahead is replaced when the clock is right again")
  func leafOfAWrongClock() throws {
    let site = try Site()
    let trust = try site.open()
    site.clock.step(seconds: 10 * 365 * 86400)
    let ahead = try trust.identity()
    #expect(try trust.identity() == ahead)
    site.clock.step(seconds: -10 * 365 * 86400)
    let right = try trust.identity()
    #expect(right != ahead)
    site.clock.step(seconds: -60)
    #expect(try trust.identity() == right, "a small step back is within what a leaf begins in the past")
    site.clock.step(seconds: 21 * 86400)
    #expect(try trust.identity() != right)
  }

  @Test("a name that is pinned for one authority is not given to another until it is revoked")
  func conflict() throws {
    let site = try Site()
    let trust = try site.open()
    let (first, second) = (try CertificateAuthority.ephemeral(), try CertificateAuthority.ephemeral())
    func peer(_ authority: CertificateAuthority) -> PeerRecord {
      PeerRecord(cluster: "there", node: "n", authority: authority.certificateDER, host: "", port: 9001)
    }
    try site.database.write { try peer(first).save($0) }
    for trusted in [PeerTrust.lasting, .ending(seconds: 60)] {
      try site.database.write { try PeerRecord.setTrust($0, "there", trusted, invited: true) }
      let (id, _) = try Self.token(trust)
      var state = try #require(try trust.token(id))
      try state.use(clientKey: [2], cluster: "there", at: site.clock.now()) { true }
      let error = #expect(throws: ReplError.self) { try trust.admit(peer(second), by: state) }
      #expect(error?.kind == .refused)
      #expect(error?.remedy?.contains("pair revoke there") == true)
      #expect(trust.pinnedAuthorities().map(\.caDER) == [first.certificateDER])
      #expect(try trust.token(id)?.ownerKey == nil, "the token is still whoever's proves it rightly")
    }
    try site.database.write { try peer(first).save($0) }
    try site.database.write { try PeerRecord.end($0, "there") }
    try site.database.write { try peer(second).save($0) }
    #expect(trust.pinnedAuthorities().map(\.caDER) == [second.certificateDER])
  }

  @Test("revoking a cluster withdraws what it could pair with: its tokens, those bound to it and those of its key")
  func revokedTokens() throws {
    let site = try Site()
    let trust = try site.open()
    func used(by key: [UInt8], _ cluster: String) throws -> (PairingTokenID, PairingTokenState) {
      let (id, _) = try Self.token(trust)
      var state = try #require(try trust.token(id))
      try state.use(clientKey: key, cluster: cluster, at: site.clock.now()) { true }
      return (id, state)
    }
    let (own, ownState) = try used(by: [1], "there")
    try trust.admit(Self.peer, by: ownState)
    let (renamed, renamedState) = try used(by: [1], "alias")
    var alias = Self.peer
    alias.cluster = "alias"
    try trust.admit(alias, by: renamedState)
    let (other, otherState) = try used(by: [2], "elsewhere")
    var elsewhere = Self.peer
    elsewhere.cluster = "elsewhere"
    try trust.admit(elsewhere, by: otherState)
    _ = try trust.makeToken(for: "there")
    let (open, _) = try Self.token(trust)
    #expect(try trust.tokens().count == 5)
    try site.database.write { try PeerRecord.end($0, "there") }
    #expect(try trust.token(own) == nil)
    #expect(try trust.token(renamed) == nil)
    #expect(try trust.token(other) != nil)
    #expect(try trust.token(open) == nil, "it may have been given one that is nobody's yet")
    #expect(try trust.tokens().count == 1)
    let error = #expect(throws: ReplError.self) { try trust.admit(Self.peer, by: ownState) }
    #expect(error?.kind == .unauthenticated, "a conversation that was under way is too late")
    #expect(try !trust.isTrusted("there"))
  }

  @Test("tokens are listed without their secrets, and withdrawn by the beginning of their id")
  func list() throws {
    let site = try Site()
    let trust = try site.open()
    let (id, secret) = try Self.token(trust)
    _ = try trust.makeToken(for: "west")
    let listed = try trust.tokens()
    #expect(listed.map(\.boundCluster).sorted() == ["", "west"])
    let own = try #require(listed.first { $0.boundCluster.isEmpty })
    #expect(own.usedBy.isEmpty)
    #expect(own.id.count == 32)
    let hex = secret.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    #expect(!"\(listed)".contains(hex))
    #expect(throws: ReplError.self) { try trust.deleteToken("") }
    #expect(try trust.deleteToken(String(own.id.prefix(12))).id == own.id)
    #expect(try trust.token(id) == nil)
    #expect(throws: ReplError.self) { try trust.deleteToken(own.id) }
    #expect(throws: ReplError.self) { try trust.makeToken(for: "here") }
    #expect(throws: ReplError.self) { try trust.makeToken(for: "not a/name") }
  }

  @Test("a token's time is counted while the agent runs, and what has expired does not come back with the clock")
  func expiredStaysSo() throws {
    let site = try Site()
    let trust = try site.open()
    let (counted, _) = try Self.token(trust)
    site.clock.step(seconds: -365 * 86400)
    _ = try trust.countDown()
    #expect(try trust.token(counted) != nil)
    site.clock.advance(seconds: 24 * 3600)
    _ = try trust.countDown()
    #expect(try trust.token(counted) == nil, "a day has passed, though the clock is before its making")
    let (stepped, _) = try Self.token(trust)
    site.clock.step(seconds: 25 * 3600)
    _ = try trust.countDown()
    site.clock.step(seconds: -25 * 3600)
    #expect(try trust.token(stepped) == nil)
  }

  @Test("there are never more tokens than can be looked through")
  func limit() throws {
    let trust = try Site().open()
    for _ in 0..<TrustStore.tokenLimit { _ = try trust.makeToken() }
    let error = #expect(throws: ReplError.self) { try trust.makeToken() }
    #expect(error?.kind == .refused)
  }
}
