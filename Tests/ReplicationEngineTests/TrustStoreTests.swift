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
    return (PairingTokenID(secret: token.secret, crypto: TrustStore.crypto), token.secret)
  }

  private static let peer = PeerRecord(
    cluster: "there", node: "n", authority: [1, 2, 3], host: "", port: 9001, expiresAt: nil)

  @Test("a token belongs to its first user, who may repeat it; after a restart too")
  func reuse() throws {
    let site = try Site()
    var trust = try site.open()
    let (id, _) = try Self.token(trust)
    var state = try #require(try trust.token(id))
    try state.use(clientKey: [1], cluster: "there", at: site.clock.now()) { true }
    try trust.save(state, peer: Self.peer)
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
        major: Hello.protocolMajor, minor: 0, token: PairingTokenID(secret: token.secret, crypto: TrustStore.crypto),
        clusterID: token.clusterID, node: "n", software: "s", controlPort: 9001)
      return try PairingSide.record(
        PairedPeer(hello, caCertificate: authority.certificateDER), spkiHash: token.authorityHash, host: "h",
        port: 9001, at: SystemClock().now())
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
    #expect(try trust.token(PairingTokenID(secret: [9], crypto: TrustStore.crypto)) == nil)
    let (id, _) = try Self.token(trust)
    for _ in 1...PairingTokenState.tryLimit {
      var state = try #require(try trust.token(id))
      #expect(throws: ReplError.self) {
        try state.use(clientKey: [1], cluster: "there", at: site.clock.now()) { false }
      }
      try trust.save(state, peer: nil)
    }
    var state = try #require(try trust.token(id))
    let error = #expect(throws: ReplError.self) {
      try state.use(clientKey: [1], cluster: "there", at: site.clock.now()) { true }
    }
    #expect(error?.cause.contains("wrong tries") == true)
    #expect(trust.pinnedAuthorities().isEmpty)
  }

  @Test("trust ends when it expires, and an address once known is not lost")
  func pinnedAuthorities() throws {
    let site = try Site()
    let trust = try site.open()
    var peer = Self.peer
    peer.host = "192.0.2.7"
    peer.expiresAt = Timestamp(nanoseconds: site.clock.now().nanoseconds + 5_000_000_000)
    try site.database.write { [peer] in try peer.save($0) }
    #expect(trust.pinnedAuthorities().count == 1)
    site.clock.advance(seconds: 6)
    #expect(trust.pinnedAuthorities().isEmpty)
    try site.database.write { try Self.peer.save($0) }
    #expect(trust.pinnedAuthorities().count == 1)
    #expect(try site.database.read { try PeerRecord.find($0, "there") }?.host == "192.0.2.7")
  }
}
