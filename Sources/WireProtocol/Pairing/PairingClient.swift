public import ReplModel

/// The side that has been given a token. Runs on a TLS connection whose server showed a chain that ends in the CA pinned by
/// the token; the client's key is fresh, self-signed and kept until the pairing is recorded, so that it can be repeated.
public struct PairingClient: Sendable {
  private enum Phase {
    case new
    case helloSent
    case proofSent(PairHello)
    case ended
  }

  /// What the caller is to do.
  public enum Effect: Hashable, Sendable {
    case send(PairingRequest)
    /// Both sides have proved the token: record the peer durably.
    case paired(PairedPeer)
  }

  private let token: PairingCredential
  private let tokenID: PairingTokenID
  private let identity: PairingIdentity
  private let binding: ChannelBinding
  private let crypto: PairingCrypto
  private var phase = Phase.new

  public init(
    token: PairingCredential, identity: PairingIdentity, binding: ChannelBinding, crypto: PairingCrypto
  ) {
    self.token = token
    tokenID = PairingTokenID(secret: token.secret, crypto: crypto)
    self.identity = identity
    self.binding = binding
    self.crypto = crypto
  }

  /// The first request.
  ///
  /// - Throws: `refused` for a token of our own cluster.
  public mutating func start() throws(ReplError) -> Effect {
    guard case .new = phase else { throw outOfOrder("start") }
    phase = .ended
    guard token.clusterID != identity.clusterID else { throw PairingRefusal.ownCluster(token.clusterID) }
    phase = .helloSent
    return .send(.hello(identity.hello(token: tokenID)))
  }

  /// Takes an answer. After an error the machine takes nothing more.
  ///
  /// - Throws: the server's refusal, or why its answer is not right.
  public mutating func receive(_ reply: PairingReply) throws(ReplError) -> Effect {
    let old = phase
    phase = .ended
    switch (old, reply) {
    case (_, .refused(let error)): throw error
    case (.helloSent, .hello(let hello)): return try receive(hello)
    case (.proofSent(let hello), .proof(let proof)): return try receive(proof, from: hello)
    case (_, .hello): throw outOfOrder("hello")
    case (_, .proof): throw outOfOrder("proof")
    }
  }

  private mutating func receive(_ hello: PairHello) throws(ReplError) -> Effect {
    try PairingRefusal.checkVersion(hello, own: identity.clusterID)
    guard hello.clusterID == token.clusterID else {
      throw ReplError(
        .unauthenticated, subject: "cluster \(hello.clusterID)",
        cause: "answered, but the token is of cluster \(token.clusterID)",
        remedy: "check the address, or get a token of that cluster")
    }
    guard hello.token == tokenID else { throw outOfOrder("hello for another token") }
    phase = .proofSent(hello)
    let proof = crypto.hmac(token.secret, transcript(.client))
    return .send(.proof(PairProof(proof: proof, caCertificate: identity.caCertificate)))
  }

  private mutating func receive(_ proof: PairProof, from hello: PairHello) throws(ReplError) -> Effect {
    let expected = crypto.hmac(token.secret, transcript(.server))
    guard crypto.equalInConstantTime(expected, proof.proof) else {
      throw ReplError(
        .unauthenticated, subject: "cluster \(hello.clusterID)", cause: "did not prove that it knows the token",
        remedy: "check the address; the connection may be intercepted")
    }
    return .paired(PairedPeer(hello, caCertificate: proof.caCertificate))
  }

  private func transcript(_ role: PairingRole) -> [UInt8] {
    PairingTranscript.bytes(
      role: role, binding: binding, clientCluster: identity.clusterID, serverCluster: token.clusterID)
  }

  private func outOfOrder(_ what: String) -> ReplError { PairingRefusal.outOfOrder(what, token.clusterID) }
}
