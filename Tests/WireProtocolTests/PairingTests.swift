import ReplModel
import Testing

@testable import WireProtocol

@Suite("Pairing")
struct PairingTests {
  private let second: Int64 = 1_000_000_000
  private let credential = PairingCredential(clusterID: "west", secret: Samples.secret)

  private func state(_ secret: [UInt8] = Samples.secret) -> PairingTokenState {
    PairingTokenState(
      id: PairingTokenID(secret: secret, crypto: Samples.crypto), secret: secret, madeAt: Samples.taken)
  }

  private func at(_ seconds: Int64) -> Timestamp {
    Timestamp(nanoseconds: Samples.taken.nanoseconds + seconds * second)
  }

  private func client(
    _ credential: PairingCredential? = nil, binding: ChannelBinding = Samples.binding,
    identity: PairingIdentity = Samples.east
  ) -> PairingClient {
    PairingClient(
      token: credential ?? self.credential, identity: identity, binding: binding, crypto: Samples.crypto)
  }

  /// Both machines over a wire: what each ends with.
  @discardableResult
  private func pair(
    _ client: PairingClient, _ token: inout PairingTokenState?, binding: ChannelBinding = Samples.binding,
    at now: Timestamp = Samples.taken
  ) throws -> (atClient: PairedPeer, atServer: PairedPeer) {
    var client = client
    var server = PairingServer(identity: Samples.west, binding: binding, crypto: Samples.crypto)
    guard case .send(.hello(let hello)) = try client.start() else { throw Samples.Absent() }
    let answer = try server.receive(hello)
    #expect(server.tokenID == hello.token)
    guard case .send(.proof(let proof)) = try client.receive(.hello(answer)) else { throw Samples.Absent() }
    let (peer, proved) = try server.receive(proof, token: &token, at: now)
    guard case .paired(let found) = try client.receive(.proof(proved)) else { throw Samples.Absent() }
    return (found, peer)
  }

  @Test func bothEndsLearnEachOther() throws {
    var token: PairingTokenState? = state()
    var west = Samples.west
    west.caCertificate = [1, 2, 3]
    let result = try pair(client(), &token)
    #expect(result.atClient.clusterID == "west")
    #expect(result.atClient.node == "node-2")
    #expect(result.atServer.clusterID == "east")
    #expect(result.atServer.caCertificate == Samples.certificate)
    #expect(result.atServer.controlPort == 9001)
    #expect(token?.ownerKey == Samples.binding.clientKey)
    #expect(token?.ownerCluster == "east")
  }

  @Test func theSecretIsNeverInAMessage() throws {
    var client = client()
    let id = PairingTokenID(secret: Samples.secret, crypto: Samples.crypto)
    guard case .send(let hello) = try client.start() else { throw Samples.Absent() }
    guard case .send(let proof) = try client.receive(.hello(Samples.west.hello(token: id))) else {
      throw Samples.Absent()
    }
    for body in [hello.encode().body, proof.encode().body] {
      for start in 0...max(0, body.count - 8) {
        #expect(!Samples.secret.starts(with: body[start..<min(start + 8, body.count)]) || start + 8 > body.count)
      }
    }
  }

  @Test func theSameClientKeyMayRepeatAndNoOtherMayUseIt() throws {
    var token: PairingTokenState? = state()
    try pair(client(), &token)
    try pair(client(), &token, at: at(3600))
    var other = Samples.binding
    other.clientKey = [0x30, 9]
    #expect(kind { try pair(client(binding: other), &token, binding: other) } == .refused)
    var renamed = Samples.east
    renamed.clusterID = "north"
    #expect(kind { try pair(client(identity: renamed), &token) } == .refused)
    token?.reset()
    try pair(client(binding: other), &token, binding: other)
  }

  @Test func aWrongSecretIsRefusedAndCounted() throws {
    var token: PairingTokenState? = state()
    let wrong = PairingCredential(clusterID: "west", secret: [UInt8](repeating: 1, count: 32))
    #expect(kind { try pair(client(wrong), &token) } == .unauthenticated, "the token's name differs too")
    #expect(token?.failures.isEmpty == true, "another name is no try of this token")
    var server = PairingServer(identity: Samples.west, binding: Samples.binding, crypto: Samples.crypto)
    let id = PairingTokenID(secret: Samples.secret, crypto: Samples.crypto)
    _ = try server.receive(Samples.east.hello(token: id))
    let proof = PairProof(proof: [UInt8](repeating: 0, count: 32), caCertificate: Samples.certificate)
    #expect(kind { _ = try server.receive(proof, token: &token, at: Samples.taken) } == .unauthenticated)
    #expect(token?.failures.count == 1)
    #expect(token?.ownerKey == nil)
  }

  @Test func anUnknownTokenIsRefused() {
    var none: PairingTokenState?
    #expect(kind { try pair(client(), &none) } == .unauthenticated)
  }

  @Test func aMiddlemanCannotPassProofsOn() {
    var token: PairingTokenState? = state()
    for change in 0..<3 {
      var seen = Samples.binding
      switch change {
      case 0: seen.exporter[0] ^= 1
      case 1: seen.clientKey[4] ^= 1
      default: seen.serverKey[3] ^= 1
      }
      #expect(kind { try pair(client(binding: seen), &token) } == .unauthenticated)
    }
  }

  @Test func theClientDoesNotTakeItsOwnProofBack() throws {
    var client = client()
    let id = PairingTokenID(secret: Samples.secret, crypto: Samples.crypto)
    _ = try client.start()
    guard case .send(.proof(let own)) = try client.receive(.hello(Samples.west.hello(token: id))) else {
      throw Samples.Absent()
    }
    #expect(kind { _ = try client.receive(.proof(own)) } == .unauthenticated)
    #expect(kind { _ = try client.receive(.proof(own)) } == .protocolViolation, "it is over")
  }

  @Test func ourOwnClusterIsRefusedOnBothSides() {
    var own = client(PairingCredential(clusterID: "east", secret: Samples.secret))
    #expect(kind { _ = try own.start() } == .refused)
    var server = PairingServer(identity: Samples.west, binding: Samples.binding, crypto: Samples.crypto)
    let id = PairingTokenID(secret: Samples.secret, crypto: Samples.crypto)
    #expect(kind { _ = try server.receive(Samples.west.hello(token: id)) } == .refused)
  }

  @Test func anotherClusterThanTheTokensIsRefused() throws {
    var client = client(PairingCredential(clusterID: "north", secret: Samples.secret))
    let id = PairingTokenID(secret: Samples.secret, crypto: Samples.crypto)
    _ = try client.start()
    #expect(kind { _ = try client.receive(.hello(Samples.west.hello(token: id))) } == .unauthenticated)
  }

  @Test func anotherMajorVersionIsRefusedOnBothSides() throws {
    let id = PairingTokenID(secret: Samples.secret, crypto: Samples.crypto)
    var hello = Samples.west.hello(token: id)
    hello.major = 1
    var client = client()
    _ = try client.start()
    #expect(kind { _ = try client.receive(.hello(hello)) } == .protocolViolation)
    hello = Samples.east.hello(token: id)
    hello.major = 1
    var server = PairingServer(identity: Samples.west, binding: Samples.binding, crypto: Samples.crypto)
    #expect(kind { _ = try server.receive(hello) } == .protocolViolation)
  }

  @Test func messagesOutOfOrderAreRefused() throws {
    let id = PairingTokenID(secret: Samples.secret, crypto: Samples.crypto)
    let proof = PairProof(proof: [UInt8](repeating: 0, count: 32), caCertificate: [])
    var token: PairingTokenState? = state()
    var server = PairingServer(identity: Samples.west, binding: Samples.binding, crypto: Samples.crypto)
    #expect(kind { _ = try server.receive(proof, token: &token, at: Samples.taken) } == .protocolViolation)
    _ = try server.receive(Samples.east.hello(token: id))
    #expect(kind { _ = try server.receive(Samples.east.hello(token: id)) } == .protocolViolation)
    var early = client()
    #expect(kind { _ = try early.receive(.proof(proof)) } == .protocolViolation)
    var twice = client()
    _ = try twice.start()
    #expect(kind { _ = try twice.start() } == .protocolViolation)
    var refused = client()
    _ = try refused.start()
    #expect(kind { _ = try refused.receive(.refused(ReplError(.noSpace, subject: "s", cause: "c"))) } == .noSpace)
  }
}
