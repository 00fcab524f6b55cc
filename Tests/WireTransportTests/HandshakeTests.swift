import ReplModel
import Testing
import WireProtocol

import TestSupport
@testable import WireTransport
import Threads

@Suite struct HandshakeTests {
  /// The server's reason, and the client's as its first read shows it.
  private func refusals(client: TLSSettings, server: TLSSettings) throws -> (client: ReplError?, server: ReplError?) {
    let done = try Handshake.run(client: client, server: server)
    switch done.client {
    case .failure(let error): return (error, done.server.failure)
    case .success(let connection):
      // The server judges after the client is done: its answer comes with the first read.
      connection.setReadTimeout(patience)
      var byte: [UInt8] = [0]
      let error = capture { () throws(ReplError) in try connection.readExactly(into: &byte) }.failure
      return (error, done.server.failure)
    }
  }

  private func refusalOfClient(leaf: LeafIdentity, sites: TwoSites) throws -> (client: ReplError?, server: ReplError?) {
    let client = try sites.here.settings(.client, trusting: [sites.there.pin], leaf: leaf)
    return try refusals(client: client, server: sites.server)
  }

  @Test func bothEndsKnowEachOther() throws {
    let sites = try TwoSites()
    let (client, server) = try Handshake.pair(client: sites.client, server: sites.server)
    #expect(client.alpn == WireLimits.controlProtocol)
    #expect(server.alpn == client.alpn)
    #expect(client.peerIdentity == PeerIdentity(clusterID: "there", node: "node-1"))
    #expect(server.peerIdentity == PeerIdentity(clusterID: "here", node: "node-1"))
    #expect(client.peerPublicKey == server.localPublicKey)
    #expect(server.peerPublicKey == client.localPublicKey)
    #expect(client.peerAuthorityDER == sites.there.authority.certificateDER)
    #expect(!client.isResumed)
    #expect(client.remoteAddress == server.localAddress)
  }

  @Test func exporterIsEqualAtBothEndsAndDiffersByLabelContextAndConnection() throws {
    let sites = try TwoSites()
    let (client, server) = try Handshake.pair(client: sites.client, server: sites.server)
    let value = try client.exporter(label: "EXPERIMENTAL test", length: 32)
    #expect(value == (try server.exporter(label: "EXPERIMENTAL test", length: 32)))
    #expect(value != (try client.exporter(label: "EXPERIMENTAL other", length: 32)))
    #expect(value != (try client.exporter(label: "EXPERIMENTAL test", context: [1], length: 32)))
    let (second, _) = try Handshake.pair(client: sites.client, server: sites.server)
    #expect(value != (try second.exporter(label: "EXPERIMENTAL test", length: 32)))
  }

  @Test func serverRefusesAnAuthorityThatIsNotPinned() throws {
    let sites = try TwoSites()
    let stranger = try Site("here")
    let errors = try refusalOfClient(leaf: stranger.leaf(), sites: sites)
    #expect(errors.server?.kind == .unauthenticated)
    #expect(errors.client?.kind == .unauthenticated)
  }

  @Test func clientRefusesAnAuthorityThatIsNotPinned() throws {
    let sites = try TwoSites()
    let server = try Site("there").settings(.server, trusting: [sites.here.pin])
    let errors = try refusals(client: sites.client, server: server)
    #expect(errors.client?.kind == .unauthenticated)
    #expect(errors.server?.kind == .unauthenticated)
  }

  @Test func authorityOfOneClusterCannotSpeakForAnother() throws {
    let (here, there, third) = (try Site("here"), try Site("there"), try Site("third"))
    let server = try there.settings(.server, trusting: [here.pin, third.pin])
    let forged = try here.authority.issueLeaf(clusterID: "third", node: "node-1")
    let client = try here.settings(.client, trusting: [there.pin], leaf: forged)
    let errors = try refusals(client: client, server: server)
    #expect(errors.server?.kind == .unauthenticated)
    #expect(errors.server?.cause.contains("third") == true)
    #expect(errors.client?.kind == .unauthenticated)
  }

  @Test func clusterThatIsNotPairedIsNamed() throws {
    let sites = try TwoSites()
    let leaf = try sites.here.authority.issueLeaf(clusterID: "elsewhere", node: "n")
    #expect(try refusalOfClient(leaf: leaf, sites: sites).server?.cause.contains("'elsewhere'") == true)
  }

  @Test func twoAuthoritiesMayBePinnedForOneCluster() throws {
    let (here, there, renewed) = (try Site("here"), try Site("there"), try Site("here"))
    let server = try there.settings(.server, trusting: [renewed.pin, here.pin])
    for site in [here, renewed] {
      let client = try site.settings(.client, trusting: [there.pin])
      #expect(try Handshake.pair(client: client, server: server).server.peerIdentity?.clusterID == "here")
    }
  }

  @Test func expiredAndFutureLeavesAreRefused() throws {
    let sites = try TwoSites()
    let now = wallClock()
    for (begin, end) in [(now - 7200, now - 3600), (now + 3600, now + 7200)] {
      let leaf = try sites.here.authority.issueLeaf(
        uri: "repl-agent://here/n", purposes: 3, notBefore: begin, notAfter: end)
      let errors = try refusalOfClient(leaf: leaf, sites: sites)
      #expect(errors.server?.kind == .unauthenticated)
      #expect(errors.client?.cause.contains("expired") == true)
    }
  }

  @Test("what is pinned is a key: neither the times of the pinned certificate count nor which one of the key it is")
  func authorityPinnedByItsKey() throws {
    try withTemporaryDirectory { path in
      let authority = try CertificateAuthority.loadOrCreate(directory: path)
      let key = try #require(try AuthorityFiles(directory: path).readKey())
      let there = try Site("there")
      let leaf = try authority.issueLeaf(clusterID: "here", node: "n")
      let client = TLSSettings(
        role: .client, alpn: [WireLimits.controlProtocol], trust: .pinnedAuthorities { [there.pin] }
      ) { () throws(ReplError) in leaf }
      let now = wallClock()
      for times in [(now - 86400, now - 3600), (now + 3600, now + 86400)] {
        let pin = PinnedAuthority(
          clusterID: "here", caDER: try CertificateAuthority.makeCertificate(key: key, validity: times))
        let server = try there.settings(.server, trusting: [pin])
        #expect(try Handshake.pair(client: client, server: server).server.peerIdentity?.clusterID == "here")
      }
    }
  }

  @Test func clockIsTheOneOfTheSettings() throws {
    var options = TLSOptions()
    options.now = { wallClock() + 31 * 86400 }
    let (here, there) = (try Site("here"), try Site("there"))
    let server = try there.settings(.server, trusting: [here.pin], options: options)
    let errors = try refusals(client: try here.settings(.client, trusting: [there.pin]), server: server)
    #expect(errors.server?.cause.contains("expired") == true)
  }

  @Test(arguments: [0, PKI.serverPurpose])
  func clientWithoutTheClientPurposeIsRefused(purposes: UInt32) throws {
    let sites = try TwoSites()
    let now = wallClock()
    let leaf = try sites.here.authority.issueLeaf(
      uri: "repl-agent://here/n", purposes: purposes, notBefore: now - 60, notAfter: now + 3600)
    let errors = try refusalOfClient(leaf: leaf, sites: sites)
    #expect(errors.server?.cause.contains("extended key usage") == true)
    #expect(errors.client?.kind == .unauthenticated)
  }

  @Test(arguments: [0, PKI.clientPurpose])
  func serverWithoutTheServerPurposeIsRefused(purposes: UInt32) throws {
    let sites = try TwoSites()
    let now = wallClock()
    let leaf = try sites.there.authority.issueLeaf(
      uri: "repl-agent://there/n", purposes: purposes, notBefore: now - 60, notAfter: now + 3600)
    let server = try sites.there.settings(.server, trusting: [sites.here.pin], leaf: leaf)
    #expect(
      try refusals(client: sites.client, server: server).client?.cause.contains("extended key usage") == true)
  }

  @Test(arguments: [nil, "https://here/n", "repl-agent://here/n/x"])
  func leafWithoutAProperNameIsRefused(uri: String?) throws {
    let sites = try TwoSites()
    let now = wallClock()
    let leaf = try sites.here.authority.issueLeaf(
      uri: uri, purposes: 3, notBefore: now - 60, notAfter: now + 3600)
    #expect(try refusalOfClient(leaf: leaf, sites: sites).server?.kind == .unauthenticated)
  }

  @Test func authorityItselfIsNoPeer() throws {
    let sites = try TwoSites()
    let directory = try withTemporaryDirectory { path in
      let authority = try CertificateAuthority.loadOrCreate(directory: path)
      let key = try #require(try AuthorityFiles(directory: path).readKey())
      return LeafIdentity(certificateChain: [authority.certificateDER], privateKeyPEM: key)
    }
    #expect(try refusalOfClient(leaf: directory, sites: sites).server?.kind == .unauthenticated)
  }

  @Test func selfSignedClientIsLetInForPairingOnly() throws {
    let (here, there) = (try Site("here"), try Site("there"))
    let leaf = try there.leaf()
    let server = TLSSettings(
      role: .server,
      applications: [
        TLSApplication(name: WireLimits.controlProtocol, trust: .pinnedAuthorities { [here.pin] }),
        TLSApplication(name: WireLimits.pairingProtocol, trust: .pairingAnyClient),
      ]
    ) { () throws(ReplError) in leaf }
    let own = try LeafIdentity.selfSigned()
    let pairing = try here.settings(.client, trusting: [there.pin], alpn: [WireLimits.pairingProtocol], leaf: own)
    let accepted = try Handshake.pair(client: pairing, server: server)
    #expect(accepted.server.peerIdentity == nil)
    #expect(accepted.server.peerAuthorityDER == nil)
    #expect(accepted.server.peerPublicKey == (try own.publicKey()))
    let control = try here.settings(.client, trusting: [there.pin], leaf: own)
    #expect(try refusals(client: control, server: server).server?.kind == .unauthenticated)
  }

  @Test func protocolsWithoutACommonNameEndTheHandshake() throws {
    let sites = try TwoSites()
    let client = try sites.here.settings(.client, trusting: [sites.there.pin], alpn: ["other/9"])
    let errors = try refusals(client: client, server: sites.server)
    #expect(errors.client?.kind == .protocolViolation)
    #expect(errors.client?.remedy?.contains("port") == true)
    #expect(errors.server != nil)
  }

  @Test func rotatedLeafIsUsedAtTheNextHandshake() throws {
    let (here, there) = (try Site("here"), try Site("there"))
    let leaves = BoundedQueue<LeafIdentity>(capacity: 2)
    for node in ["first", "second"] {
      leaves.put(try there.authority.issueLeaf(clusterID: "there", node: node))
    }
    let server = TLSSettings(
      role: .server, alpn: [WireLimits.controlProtocol], trust: .pinnedAuthorities { [here.pin] }
    ) { () throws(ReplError) in
      guard let leaf = leaves.take() else { throw ReplError(.notFound, subject: "leaf", cause: "none is left") }
      return leaf
    }
    let client = try here.settings(.client, trusting: [there.pin])
    for node in ["first", "second"] {
      #expect(try Handshake.pair(client: client, server: server).client.peerIdentity?.node == node)
    }
  }

  @Test func silentPeerEndsAtTheDeadline() throws {
    let sites = try TwoSites()
    let pair = try socketPair()
    let error = capture { () throws(ReplError) in
      try TLSConnection(
        socket: pair.server, settings: sites.server, sessions: nil, cancelSignal: CancelSignal(),
        deadline: .after(.milliseconds(50)))
    }.failure
    #expect(error?.kind == .transient)
  }
}
