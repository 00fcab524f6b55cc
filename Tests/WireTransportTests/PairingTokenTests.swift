import ReplModel
import Testing
import WireProtocol

import TestSupport
@testable import WireTransport

@Suite struct PairingTokenTests {
  private func token() throws -> PairingToken {
    try PairingToken(authorityHash: pattern(32, seed: 1), secret: pattern(32, seed: 2), clusterID: "site-b")
  }

  private func refusal(_ text: String) -> ReplError? {
    capture { () throws(ReplError) in try PairingToken(parsing: text) }.failure
  }

  @Test func textReadsBackToTheSameToken() throws {
    let token = try token()
    let text = try token.text()
    #expect(try PairingToken(parsing: text) == token)
    #expect(try PairingToken(parsing: " \t\(text)\r\n") == token)
    #expect(text.utf8.allSatisfy { $0 > 32 && $0 < 127 })
  }

  @Test func everyMistypedCharacterIsNoticed() throws {
    let text = Array(try token().text())
    for index in text.indices {
      var other = text
      other[index] = other[index] == "A" ? "B" : "A"
      #expect(refusal(String(other))?.kind == .invalid)
    }
  }

  @Test func everyCutIsNoticed() throws {
    let text = try token().text()
    for length in 0..<text.count { #expect(refusal(String(text.prefix(length)))?.kind == .invalid) }
  }

  @Test func refusalsSayWhatIsWrongAndNotTheSecret() throws {
    let text = try token().text()
    #expect(refusal("")?.cause.contains("empty") == true)
    #expect(refusal("!" + text)?.cause.contains("character 1") == true)
    #expect(refusal(text + "AAAA")?.cause.contains("cut off or has something added") == true)
    #expect(refusal("Ag" + text.dropFirst(2))?.cause.contains("version") == true)
    #expect(refusal(String(repeating: "A", count: 4096))?.cause.contains("longer") == true)
    let swapped = String(text.prefix(60)) + "AAAA" + String(text.dropFirst(64))
    #expect(refusal(swapped)?.cause.contains("checksum") == true)
    #expect(refusal(swapped)?.description.contains(swapped.prefix(12)) == false)
  }

  @Test func printingATokenShowsNoSecret() throws {
    let token = try token()
    var dumped = String(describing: token) + "\(token)"
    dump(token, to: &dumped)
    #expect(!dumped.contains(try token.text()))
    #expect(!dumped.contains("\(token.secret[0]), \(token.secret[1])"))
  }

  @Test func freshTokensDiffer() throws {
    let authority = try CertificateAuthority.ephemeral()
    let first = try PairingToken.make(authority: authority, clusterID: "b")
    #expect(first != (try PairingToken.make(authority: authority, clusterID: "b")))
    #expect(first.authorityHash == authority.spkiHash)
  }

  @Test func base64HasOneFormPerValue() throws {
    #expect(Base64URL.encode(Array("foob".utf8)) == "Zm9vYg")
    #expect(Base64URL.encode([0xFB, 0xFF]) == "-_8")
    for count in 0..<70 {
      let bytes = pattern(count, seed: UInt64(count) + 1)
      #expect(try Base64URL.decode(Base64URL.encode(bytes)) == bytes)
    }
    #expect(throws: Base64URL.Failure.truncated) { try Base64URL.decode("Zm9vYh") }
    #expect(throws: Base64URL.Failure.truncated) { try Base64URL.decode("A") }
    #expect(throws: Base64URL.Failure.character(2)) { try Base64URL.decode("Z+9v") }
  }
}

@Suite struct PairingOverTLSTests {
  /// The whole exchange of the two pairing machines over one connection.
  private func pair(_ hello: Site, _ target: Site, tamper: Bool) throws -> (client: PairedPeer, server: PairedPeer) {
    let token = try PairingToken.make(authority: target.authority, clusterID: target.clusterID)
    let (client, server) = try Self.connect(token: token, target: target)
    let atClient = try client.channelBinding(role: .client)
    let atServer = try server.channelBinding(role: .server)
    #expect(atClient == atServer)
    var secret = token.secret
    if tamper { secret[0] ^= 1 }
    var first = PairingClient(
      token: PairingCredential(clusterID: target.clusterID, secret: secret), identity: Self.identity(hello),
      binding: atClient, crypto: .system)
    var second = PairingServer(identity: Self.identity(target), binding: atServer, crypto: .system)
    let id = PairingTokenID(secret: secret, crypto: .system)
    var state: PairingTokenState? = PairingTokenState(id: id, secret: token.secret, madeAt: Timestamp(nanoseconds: 0))
    guard case .send(.hello(let helloMessage)) = try first.start() else { throw CancellationError() }
    let answer = try second.receive(helloMessage)
    guard case .send(.proof(let proof)) = try first.receive(.hello(answer)) else { throw CancellationError() }
    let judged = try second.receive(proof, token: &state, at: Timestamp(nanoseconds: 1))
    guard case .paired(let peer) = try first.receive(.proof(judged.answer)) else { throw CancellationError() }
    return (peer, judged.peer)
  }

  private static func identity(_ site: Site) -> PairingIdentity {
    PairingIdentity(
      clusterID: site.clusterID, node: "n", software: "test", caCertificate: site.authority.certificateDER,
      controlPort: 9001)
  }

  private static func connect(
    token: PairingToken, target: Site
  ) throws -> (client: TLSConnection, server: TLSConnection) {
    let own = try LeafIdentity.selfSigned()
    let client = TLSSettings(
      role: .client, alpn: [WireLimits.pairingProtocol], trust: .pairingServerPin(spkiHash: token.authorityHash)
    ) { () throws(ReplError) in own }
    let leaf = try target.leaf()
    let server = TLSSettings(
      role: .server,
      applications: [
        TLSApplication(name: WireLimits.controlProtocol, trust: .pinnedAuthorities { [] }),
        TLSApplication(name: WireLimits.pairingProtocol, trust: .pairingAnyClient),
      ]
    ) { () throws(ReplError) in leaf }
    return try Handshake.pair(client: client, server: server)
  }

  @Test func bothSidesLearnTheOthersAuthority() throws {
    let (here, there) = (try Site("here"), try Site("there"))
    let result = try pair(here, there, tamper: false)
    #expect(result.client.clusterID == "there")
    #expect(result.client.caCertificate == there.authority.certificateDER)
    #expect(result.server.clusterID == "here")
    #expect(result.server.caCertificate == here.authority.certificateDER)
  }

  @Test func wrongSecretIsRefused() throws {
    let (here, there) = (try Site("here"), try Site("there"))
    #expect(throws: ReplError.self) { try pair(here, there, tamper: true) }
  }

  @Test func clientRefusesAServerWithAnotherAuthority() throws {
    let (there, other) = (try Site("there"), try Site("there"))
    let token = try PairingToken.make(authority: there.authority, clusterID: "there")
    do {
      _ = try Self.connect(token: token, target: other)
      Issue.record("the handshake succeeded")
    } catch let error as ReplError {
      #expect(error.kind == .unauthenticated)
      #expect(error.cause.contains("token"))
    }
  }
}
