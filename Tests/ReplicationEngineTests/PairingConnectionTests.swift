import BlockDiff
import Foundation
import Logging
import ReplModel
import TestSupport
import Testing
import WireProtocol
import WireTransport

@testable import ReplicationEngine

/// Pairing over real connections: who is let in, who is not, and what becomes of the one before.
@Suite("Pairing over TLS")
struct PairingConnectionTests {
  private final class Site: Sendable {
    let configuration: EngineConfiguration
    let database: AgentDatabase
    let trust: TrustStore
    let hub = EventHub()
    private let directory: TemporaryDirectory

    init(_ cluster: String, node: String = "node") throws {
      directory = try TemporaryDirectory()
      try LinuxStorage().makeDirectory(directory.path + "/pki")
      configuration = EngineConfiguration(
        clusterID: cluster, node: node, stateDirectory: directory.path, pools: [], allowedPaths: [])
      database = try AgentDatabase.inMemory()
      trust = try TrustStore(configuration: configuration, database: database, clock: SystemClock())
    }

    /// The control port of the agent, as far as pairing goes.
    func listen() throws(ReplError) -> TLSListener {
      let logs = ConnectionLogs(Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, ticks: { 0 })
      let responder = PairingResponder(
        configuration: configuration, trust: trust, clock: SystemClock(),
        events: TrustEvents(database: database, hub: hub, node: configuration.node), log: logs.pairings)
      let settings = TLSSettings(role: .server, alpn: [WireLimits.pairingProtocol], trust: .pairingAnyClient) {
        [trust] () throws(ReplError) in try trust.identity()
      }
      return try TLSListener(
        address: "127.0.0.1", port: 0, settings: settings, limits: .control, log: { _, _ in }
      ) { responder.serve($0) }
    }

    /// As the pair service does it: proves the token and pins the peer.
    func pair(_ port: UInt16, _ token: String) throws(ReplError) {
      let peer = try PairingInitiator(configuration: configuration, trust: trust, clock: SystemClock())
        .pair(host: "127.0.0.1", port: port, token: token)
      try database.write { try peer.save($0) }
    }
  }

  private let target: Site
  private let first: Site

  init() throws {
    target = try Site("target")
    first = try Site("west", node: "first")
  }

  private func failure(_ body: () throws -> Void) -> ReplError? { #expect(throws: ReplError.self, performing: body) }

  @Test("a second machine with the same cluster id is refused, is told why, and changes nothing")
  func secondMachine() async throws {
    let listener = try target.listen()
    defer { listener.stop() }
    try first.pair(listener.boundPort, target.trust.makeToken())
    let events = target.hub.subscribe()
    let second = try Site("west", node: "second")
    let token = try target.trust.makeToken()
    let error = failure { try second.pair(listener.boundPort, token) }
    #expect(error?.kind == .refused)
    #expect(error?.cause.contains("another authority (node first)") == true)
    #expect(error?.remedy?.contains("clusterID of its own") == true)
    #expect(second.trust.pinnedAuthorities().isEmpty)
    #expect(target.trust.pinnedAuthorities().map(\.caDER) == [first.trust.authority.certificateDER])
    for await event in events {
      #expect(event.reason == "PairingRefused")
      #expect(event.warning)
      #expect(event.message.components(separatedBy: "127.0.0.1").count == 3, "both addresses: \(event.message)")
      break
    }
    try first.pair(listener.boundPort, token)
  }

  @Test("a token of another authority under a name that is pinned here is refused before anybody is asked")
  func secondTarget() throws {
    let listener = try target.listen()
    defer { listener.stop() }
    try first.pair(listener.boundPort, target.trust.makeToken())
    let impostor = try Site("target")
    let token = try impostor.trust.makeToken()
    let error = failure { try first.pair(1, token) }
    #expect(error?.kind == .refused)
    #expect(first.trust.pinnedAuthorities().map(\.caDER) == [target.trust.authority.certificateDER])
  }

  @Test("a revoked peer cannot pair again with its old token; with a new one, and under another authority, it can")
  func revoked() throws {
    let listener = try target.listen()
    defer { listener.stop() }
    let token = try target.trust.makeToken()
    try first.pair(listener.boundPort, token)
    try first.pair(listener.boundPort, token)
    try target.database.write { try PeerRecord.end($0, "west") }
    #expect(failure { try first.pair(listener.boundPort, token) }?.kind == .unauthenticated)
    #expect(target.trust.pinnedAuthorities().isEmpty)
    let rebuilt = try Site("west", node: "rebuilt")
    try rebuilt.pair(listener.boundPort, target.trust.makeToken(for: "west"))
    #expect(target.trust.pinnedAuthorities().map(\.caDER) == [rebuilt.trust.authority.certificateDER])
  }

  @Test("a token bound to a cluster lets no other in")
  func boundToken() throws {
    let listener = try target.listen()
    defer { listener.stop() }
    let token = try target.trust.makeToken(for: "east")
    #expect(failure { try first.pair(listener.boundPort, token) }?.kind == .refused)
    try Site("east").pair(listener.boundPort, token)
  }

  @Test("a refusal ends the connection, and a frame of another protocol does before its body is read")
  func closesOnRefusal() throws {
    let listener = try target.listen()
    defer { listener.stop() }
    let key = try first.trust.pairingIdentity()
    let settings = TLSSettings(
      role: .client, alpn: [WireLimits.pairingProtocol],
      trust: .pairingServerPin(spkiHash: target.trust.authority.spkiHash)
    ) { () throws(ReplError) in key }
    for header in [
      ControlFrameHeader(type: FrameType.sealSession.rawValue, flags: [], length: 1 << 20, requestID: 1),
      ControlFrameHeader(type: FrameType.pairHello.rawValue, flags: [], length: 3, requestID: 1),
    ] {
      let connection = try TLSConnection.connect(host: "127.0.0.1", port: listener.boundPort, settings: settings)
      connection.setReadTimeout(.seconds(20))
      try connection.write(header.encode(), [UInt8](repeating: 0, count: header.length == 3 ? 3 : 0))
      var answer = [UInt8](repeating: 0, count: 16 << 10)
      let count = try connection.readFully(into: &answer)
      #expect(count > 16, "the reason, and then the end")
      #expect(UInt16(answer[2]) | UInt16(answer[3]) << 8 == FrameType.close.rawValue)
    }
    let wrong = try PairingToken.make(authority: target.trust.authority, clusterID: "target").text()
    #expect(failure { try first.pair(listener.boundPort, wrong) }?.kind == .unauthenticated)
  }
}
