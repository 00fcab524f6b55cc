public import ReplModel

/// This cluster's own authority: it issues the certificates of this cluster's agents and of nobody else's.
///
/// Peers pin its key, so it lives as long as the pairs do: a lost key means to pair again. Its certificate is valid at any
/// time: how long it is trusted is the matter of whoever pins it, and a clock that was wrong when it was made must not
/// count for ever.
public final class CertificateAuthority: Sendable {
  /// What an authority's certificate says of its times, in seconds since 1970: from the first instant that can be written
  /// to the one that RFC 5280 has for no end (9999-12-31 23:59:59).
  static let validity: (from: Int64, to: Int64) = (0, 253_402_300_799)

  /// The authority's certificate, DER: what a peer pins.
  public let certificateDER: [UInt8]
  /// SHA-256 of the authority's SubjectPublicKeyInfo, 32 bytes: what a pairing token carries.
  public let spkiHash: [UInt8]
  private let keyPEM: [UInt8]

  private init(keyPEM: [UInt8], certificateDER: [UInt8]) throws(ReplError) {
    let key = try PKI.spki(keyPEM: keyPEM)
    guard try PKI.spki(certificate: certificateDER) == key else {
      throw ReplError(
        .damaged, subject: "certificate authority", cause: "ca.crt does not belong to ca.key",
        remedy: "restore both files from the same backup")
    }
    guard try PKI.inspect(certificateDER).authority else {
      throw ReplError(
        .damaged, subject: "certificate authority", cause: "ca.crt is not the certificate of an authority",
        remedy: "restore ca.crt from a backup, or remove it to have it made anew from ca.key")
    }
    self.keyPEM = keyPEM
    self.certificateDER = certificateDER
    spkiHash = try Crypto.sha256(key)
  }

  /// Loads `ca.key` (mode 0600) and `ca.crt` (DER) from `directory`, or makes what is missing, durably.
  ///
  /// The key is written first and alone decides who the authority is: a crash between the two files loses nothing.
  ///
  /// A certificate that has an end, or a beginning of a clock that was ahead, is made anew from the same key: who has
  /// pinned the key knows it as well.
  ///
  /// - Throws: `.refused` when others may read the key, `.damaged` when a file is not what it should be or the key is
  ///   missing while the certificate is there, `.io` when the directory cannot be used.
  public static func loadOrCreate(directory: String) throws(ReplError) -> CertificateAuthority {
    let files = AuthorityFiles(directory: directory)
    let key: [UInt8]
    if let stored = try files.readKey() {
      key = stored
    } else {
      guard try files.readCertificate() == nil else {
        throw ReplError(
          .damaged, subject: files.keyPath, cause: "the key is missing but the certificate is there",
          remedy: "restore the key from a backup; without it remove ca.crt and pair with every peer again")
      }
      key = try PKI.generateKey()
      try files.writeKey(key)
    }
    if let stored = try files.readCertificate() {
      let authority = try CertificateAuthority(keyPEM: key, certificateDER: stored)
      let details = try PKI.inspect(stored)
      if (details.not_before, details.not_after) == Self.validity { return authority }
    }
    let certificate = try makeCertificate(key: key)
    try files.writeCertificate(certificate)
    return try CertificateAuthority(keyPEM: key, certificateDER: certificate)
  }

  /// An authority in memory only, for tests and simulations.
  public static func ephemeral() throws(ReplError) -> CertificateAuthority {
    let key = try PKI.generateKey()
    return try CertificateAuthority(keyPEM: key, certificateDER: makeCertificate(key: key))
  }

  /// A fresh key and its certificate for one agent: server and client authentication, cluster and node in the URI name.
  ///
  /// - Parameters:
  ///   - validity: from `now` on; the certificate begins one hour earlier.
  ///   - now: seconds since 1970.
  /// - Throws: `.invalid` when a name cannot stand in a certificate.
  public func issueLeaf(
    clusterID: String, node: String, validity: Duration = .seconds(30 * 86400), now: Int64 = wallClock()
  ) throws(ReplError) -> LeafIdentity {
    let identity = PeerIdentity(clusterID: clusterID, node: node)
    try identity.validate()
    return try issueLeaf(
      uri: identity.uri, purposes: PKI.serverPurpose | PKI.clientPurpose, notBefore: now - backdating,
      notAfter: now + validity.components.seconds)
  }

  /// A leaf with any content: tests make the wrong ones with it.
  func issueLeaf(
    uri: String?, purposes: UInt32, notBefore: Int64, notAfter: Int64
  ) throws(ReplError) -> LeafIdentity {
    let key = try PKI.generateKey()
    return try issue(
      PKI.Request(
        commonName: "repl-agent", uri: uri, notBefore: notBefore, notAfter: notAfter, purposes: purposes, keyPEM: key))
  }

  /// Signs what is asked for, whoever its issuer was to be.
  func issue(_ request: PKI.Request) throws(ReplError) -> LeafIdentity {
    var request = request
    request.issuer = (keyPEM: keyPEM, certificate: certificateDER)
    let leaf = try PKI.certify(request)
    return LeafIdentity(certificateChain: [leaf, certificateDER], privateKeyPEM: request.keyPEM)
  }

  /// The name carries part of the key's hash: two authorities never have one name.
  static func makeCertificate(
    key: [UInt8], validity: (from: Int64, to: Int64) = validity
  ) throws(ReplError) -> [UInt8] {
    let hash = try Crypto.sha256(try PKI.spki(keyPEM: key))
    let mark = hash.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    return try PKI.certify(
      PKI.Request(
        commonName: "repl-agent authority \(mark)", notBefore: validity.from, notAfter: validity.to,
        isAuthority: true, keyPEM: key))
  }
}
