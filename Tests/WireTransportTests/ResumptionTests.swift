import ReplModel
import Synchronization
import Testing

@testable import WireTransport
import Threads

@Suite struct ResumptionTests {
  private static var options: TLSOptions {
    var options = TLSOptions()
    options.resumption = true
    return options
  }

  /// One connection on which bytes travel both ways, so that tickets have arrived; the server's end.
  private func talk(client: TLSSettings, server: TLSSettings, sessions: TLSSessionStore) throws -> TLSConnection {
    let pair = try Handshake.pair(client: client, server: server, sessions: sessions)
    var byte: [UInt8] = [0]
    try pair.client.write([1])
    #expect(try pair.server.readExactly(into: &byte))
    try pair.server.write([2])
    #expect(try pair.client.readExactly(into: &byte))
    #expect(pair.client.isResumed == pair.server.isResumed)
    return pair.server
  }

  @Test func secondConnectionIsResumedAndKnowsThePeer() throws {
    let sites = try TwoSites(options: Self.options)
    let sessions = TLSSessionStore()
    #expect(try !talk(client: sites.client, server: sites.server, sessions: sessions).isResumed)
    for _ in 0..<3 {
      let pair = try Handshake.pair(client: sites.client, server: sites.server, sessions: sessions)
      #expect(pair.server.isResumed)
      #expect(pair.server.peerIdentity?.clusterID == "here")
      #expect(pair.client.peerIdentity?.clusterID == "there")
      #expect(pair.server.peerPublicKey == pair.client.localPublicKey)
      try pair.server.write([1])
      var byte: [UInt8] = [0]
      #expect(try pair.client.readExactly(into: &byte))
    }
  }

  @Test func ticketsDieWhenTold() throws {
    let sites = try TwoSites(options: Self.options)
    let sessions = TLSSessionStore()
    _ = try talk(client: sites.client, server: sites.server, sessions: sessions)
    sites.server.invalidateTickets()
    #expect(try !talk(client: sites.client, server: sites.server, sessions: sessions).isResumed)
    #expect(try talk(client: sites.client, server: sites.server, sessions: sessions).isResumed)
  }

  @Test func ticketsDieWhenTheServersLeafRotates() throws {
    let (here, there) = (try Site("here"), try Site("there"))
    let leaf = Locked(try there.leaf())
    let server = TLSSettings(
      role: .server, alpn: ["d"], trust: .pinnedAuthorities { [here.pin] }, options: Self.options
    ) { () throws(ReplError) in leaf.withLock { $0 } }
    let client = try here.settings(.client, trusting: [there.pin], alpn: ["d"], options: Self.options)
    let sessions = TLSSessionStore()
    _ = try talk(client: client, server: server, sessions: sessions)
    let rotated = try there.leaf()
    leaf.withLock { $0 = rotated }
    #expect(try !talk(client: client, server: server, sessions: sessions).isResumed)
  }

  @Test func clientsNewLeafOffersNoTicketsOfTheOldOne() throws {
    let (here, there) = (try Site("here"), try Site("there"))
    let leaf = Locked(try here.leaf())
    let client = TLSSettings(
      role: .client, alpn: ["d"], trust: .pinnedAuthorities { [there.pin] }, options: Self.options
    ) { () throws(ReplError) in leaf.withLock { $0 } }
    let server = try there.settings(.server, trusting: [here.pin], alpn: ["d"], options: Self.options)
    let sessions = TLSSessionStore()
    _ = try talk(client: client, server: server, sessions: sessions)
    #expect(try talk(client: client, server: server, sessions: sessions).isResumed)
    let rotated = try here.leaf()
    leaf.withLock { $0 = rotated }
    let connection = try talk(client: client, server: server, sessions: sessions)
    #expect(!connection.isResumed)
    #expect(connection.peerPublicKey == (try rotated.publicKey()))
  }

  @Test func ticketOfARevokedPeerIsWorthNothing() throws {
    let (here, there) = (try Site("here"), try Site("there"))
    let pins = Locked([here.pin])
    let leaf = try there.leaf()
    let server = TLSSettings(
      role: .server, alpn: ["d"], trust: .pinnedAuthorities { pins.withLock { $0 } }, options: Self.options
    ) { () throws(ReplError) in leaf }
    let client = try here.settings(.client, trusting: [there.pin], alpn: ["d"], options: Self.options)
    let sessions = TLSSessionStore()
    _ = try talk(client: client, server: server, sessions: sessions)
    pins.withLock { $0 = [] }
    let done = try Handshake.run(client: client, server: server, sessions: sessions)
    #expect(done.server.failure?.kind == .unauthenticated)
  }

  @Test func ticketDoesNotOutliveTheCertificateItWasIssuedTo() throws {
    let (here, there) = (try Site("here"), try Site("there"))
    var options = Self.options
    let shared = SharedClock()
    options.now = { shared.now }
    let old = try here.authority.issueLeaf(clusterID: "here", node: "n", validity: .seconds(600))
    let fresh = try here.leaf()
    let server = try there.settings(.server, trusting: [here.pin], options: options)
    let sessions = TLSSessionStore()
    let before = try here.settings(.client, trusting: [there.pin], leaf: old, options: Self.options)
    _ = try talk(client: before, server: server, sessions: sessions)
    shared.advance(by: 900)
    let after = try here.settings(.client, trusting: [there.pin], leaf: fresh, options: Self.options)
    #expect(try !talk(client: after, server: server, sessions: sessions).isResumed)
  }

  @Test func ticketOfOneProtocolOpensNoOther() throws {
    let (here, there) = (try Site("here"), try Site("there"))
    let leaf = try there.leaf()
    let server = TLSSettings(
      role: .server,
      applications: [
        TLSApplication(name: "control", trust: .pinnedAuthorities { [here.pin] }),
        TLSApplication(name: "pair", trust: .pairingAnyClient),
      ], options: Self.options
    ) { () throws(ReplError) in leaf }
    let own = try LeafIdentity.selfSigned()
    let sessions = TLSSessionStore()
    let pairing = try here.settings(
      .client, trusting: [there.pin], alpn: ["pair"], leaf: own, options: Self.options)
    _ = try talk(client: pairing, server: server, sessions: sessions)
    let control = try here.settings(
      .client, trusting: [there.pin], alpn: ["control"], leaf: own, options: Self.options)
    let done = try Handshake.run(client: control, server: server, sessions: sessions)
    #expect(done.server.failure?.kind == .unauthenticated)
  }

  @Test func nothingIsResumedUnlessAskedFor() throws {
    let sites = try TwoSites()
    let sessions = TLSSessionStore()
    _ = try talk(client: sites.client, server: sites.server, sessions: sessions)
    #expect(try !talk(client: sites.client, server: sites.server, sessions: sessions).isResumed)
  }

  @Test func clearedStoreOffersNothing() throws {
    let sites = try TwoSites(options: Self.options)
    let sessions = TLSSessionStore()
    _ = try talk(client: sites.client, server: sites.server, sessions: sessions)
    sessions.clear()
    #expect(try !talk(client: sites.client, server: sites.server, sessions: sessions).isResumed)
  }
}

/// A wall clock that a test moves.
final class SharedClock: Sendable {
  private let offset = Atomic<Int64>(0)
  var now: Int64 { wallClock() + offset.load(ordering: .relaxed) }
  func advance(by seconds: Int64) { offset.add(seconds, ordering: .relaxed) }
}
