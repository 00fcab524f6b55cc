public import ReplModel

/// A certificate chain and the private key of its leaf: what one end of a TLS connection proves itself with.
public struct LeafIdentity: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
  /// DER, leaf first; for an issued leaf the authority follows.
  public let certificateChain: [[UInt8]]
  /// The leaf's key, PKCS #8 in PEM, not encrypted. Never log it.
  public let privateKeyPEM: [UInt8]

  public init(certificateChain: [[UInt8]], privateKeyPEM: [UInt8]) {
    self.certificateChain = certificateChain
    self.privateKeyPEM = privateKeyPEM
  }

  /// A fresh key with a certificate of its own, for the client side of pairing.
  ///
  /// Keep it until pairing is recorded: the token belongs to this key from its first proof on.
  ///
  /// - Parameters:
  ///   - validity: from one hour before `now`.
  ///   - now: seconds since 1970.
  public static func selfSigned(
    commonName: String = "repl-agent pairing", validity: Duration = .seconds(7 * 86400), now: Int64 = wallClock()
  ) throws(ReplError) -> LeafIdentity {
    let key = try PKI.generateKey()
    let certificate = try PKI.certify(
      PKI.Request(
        commonName: commonName, notBefore: now - backdating, notAfter: now + validity.components.seconds,
        purposes: PKI.clientPurpose, keyPEM: key))
    return LeafIdentity(certificateChain: [certificate], privateKeyPEM: key)
  }

  /// Seconds since 1970 at which the leaf ends.
  public func notAfter() throws(ReplError) -> Int64 { try PKI.inspect(leaf()).not_after }

  /// The leaf's public key as DER of SubjectPublicKeyInfo.
  public func publicKey() throws(ReplError) -> [UInt8] { try PKI.spki(certificate: leaf()) }

  private func leaf() throws(ReplError) -> [UInt8] {
    guard let leaf = certificateChain.first else {
      throw ReplError(.invalid, subject: "identity", cause: "the certificate chain is empty")
    }
    return leaf
  }

  /// Without the key.
  public var description: String { "identity with \(certificateChain.count) certificates" }
  /// Without the key: dumps and failed expectations print this.
  public var customMirror: Mirror { Mirror(self, children: ["certificates": certificateChain.count]) }
}

/// Seconds that certificates begin before they are made, for peers whose clocks are behind.
let backdating: Int64 = 3600
