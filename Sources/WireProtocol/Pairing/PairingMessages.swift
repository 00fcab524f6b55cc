public import ReplModel

/// First message of both ends of a pairing connection.
public struct PairHello: Hashable, Sendable {
  public var major: UInt16
  public var minor: UInt16
  /// Which token is meant; in the answer the same.
  public var token: PairingTokenID
  public var clusterID: String
  public var node: String
  /// Version of the software, for people.
  public var software: String
  /// Where the sender's agent listens for control connections.
  public var controlPort: UInt16

  public init(
    major: UInt16, minor: UInt16, token: PairingTokenID, clusterID: String, node: String, software: String,
    controlPort: UInt16
  ) {
    self.major = major
    self.minor = minor
    self.token = token
    self.clusterID = clusterID
    self.node = node
    self.software = software
    self.controlPort = controlPort
  }
}

/// Shows that the sender knows the token's secret, and gives its cluster's CA.
public struct PairProof: Hashable, Sendable {
  /// Bytes of the proof: an HMAC-SHA-256.
  public static let byteCount = 32
  public var proof: [UInt8]
  /// The sender's CA certificate in DER, at most 16 KiB.
  public var caCertificate: [UInt8]

  public init(proof: [UInt8], caCertificate: [UInt8]) {
    self.proof = proof
    self.caCertificate = caCertificate
  }
}

/// What the client of a pairing connection sends.
public enum PairingRequest: Hashable, Sendable {
  case hello(PairHello)
  case proof(PairProof)
}

/// What the server of a pairing connection answers.
public enum PairingReply: Hashable, Sendable {
  case hello(PairHello)
  case proof(PairProof)
  case refused(ReplError)
}
