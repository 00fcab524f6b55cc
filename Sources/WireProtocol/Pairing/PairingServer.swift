public import ReplModel

/// The side that made the token. Runs on one TLS connection, whose client showed any self-signed certificate.
public struct PairingServer: Sendable {
  private enum Phase {
    case new
    case helloSent(PairHello)
    case ended
  }

  private let identity: PairingIdentity
  private let binding: ChannelBinding
  private let crypto: PairingCrypto
  private var phase = Phase.new

  public init(identity: PairingIdentity, binding: ChannelBinding, crypto: PairingCrypto) {
    self.identity = identity
    self.binding = binding
    self.crypto = crypto
  }

  /// The id of the token the client named; nil before its hello.
  public var tokenID: PairingTokenID? {
    if case .helloSent(let hello) = phase { return hello.token }
    return nil
  }

  /// Takes the client's hello and gives the answer.
  ///
  /// - Throws: what to refuse with; the connection closes then.
  public mutating func receive(_ hello: PairHello) throws(ReplError) -> PairHello {
    guard case .new = phase else { throw outOfOrder("hello") }
    phase = .ended
    try PairingRefusal.checkVersion(hello, own: identity.clusterID)
    guard hello.clusterID != identity.clusterID else { throw PairingRefusal.ownCluster(hello.clusterID) }
    phase = .helloSent(hello)
    return identity.hello(token: hello.token)
  }

  /// Takes the client's proof and judges it by the token it named.
  ///
  /// The caller keeps `token` and records the peer, both durably and in one step, before it sends the answer; it keeps
  /// `token` too when this throws (its tries are counted).
  ///
  /// - Parameter token: nil if there is none with ``tokenID``.
  /// - Throws: what to refuse with; the connection closes then.
  public mutating func receive(
    _ proof: PairProof, token: inout PairingTokenState?, at now: Timestamp
  ) throws(ReplError) -> (peer: PairedPeer, answer: PairProof) {
    guard case .helloSent(let hello) = phase else { throw outOfOrder("proof") }
    phase = .ended
    guard var state = token, state.id == hello.token else {
      throw ReplError(
        .unauthenticated, subject: "token", cause: "is not known here, or was withdrawn",
        remedy: "make a new one with replctl pair token at the target cluster")
    }
    let expected = crypto.hmac(state.secret, transcript(.client, client: hello.clusterID))
    defer { token = state }
    try state.use(clientKey: binding.clientKey, cluster: hello.clusterID, at: now) {
      crypto.equalInConstantTime(expected, proof.proof)
    }
    let answer = PairProof(
      proof: crypto.hmac(state.secret, transcript(.server, client: hello.clusterID)),
      caCertificate: identity.caCertificate)
    return (PairedPeer(hello, caCertificate: proof.caCertificate), answer)
  }

  private func transcript(_ role: PairingRole, client: String) -> [UInt8] {
    PairingTranscript.bytes(
      role: role, binding: binding, clientCluster: client, serverCluster: identity.clusterID)
  }

  private func outOfOrder(_ what: String) -> ReplError { PairingRefusal.outOfOrder(what, identity.clusterID) }
}
