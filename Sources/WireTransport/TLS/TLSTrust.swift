import CStorageShims
public import ReplModel

/// An authority pinned for one peer cluster.
public struct PinnedAuthority: Hashable, Sendable {
  public var clusterID: String
  /// The authority's certificate, DER.
  public var caDER: [UInt8]

  public init(clusterID: String, caDER: [UInt8]) {
    self.clusterID = clusterID
    self.caDER = caDER
  }

  /// Checks what a peer gave as its authority before it is kept: an authority's certificate, signed with its own key.
  /// When it was made does not matter: what is pinned is the key.
  ///
  /// - Parameter spkiHash: SHA-256 its public key must have; nil where nothing is known yet.
  /// - Throws: `.unauthenticated` with the reason.
  public static func checked(
    clusterID: String, caDER: [UInt8], spkiHash: [UInt8]? = nil
  ) throws(ReplError) -> PinnedAuthority {
    let subject = "authority of cluster \(clusterID)"
    let check = PKI.verifySelfSigned(caDER)
    guard check.verdict == CSS_PKI_TRUSTED else {
      throw ReplError(.unauthenticated, subject: subject, cause: check.cause)
    }
    guard PeerIdentity.isName(clusterID), try PKI.inspect(caDER).authority else {
      throw ReplError(.unauthenticated, subject: subject, cause: "is not the certificate of an authority")
    }
    let hash = try Crypto.sha256(try PKI.spki(certificate: caDER))
    guard spkiHash.map({ Crypto.equalConstantTime($0, hash) }) ?? true else {
      throw ReplError(.unauthenticated, subject: subject, cause: "has not the key the pairing token names")
    }
    return PinnedAuthority(clusterID: clusterID, caDER: caDER)
  }

  /// Whether another certificate is of the same authority: of the same key, whenever it was made.
  public func hasKey(of certificate: [UInt8]) -> Bool {
    if certificate == caDER { return true }
    guard let own = try? PKI.spki(certificate: caDER), let other = try? PKI.spki(certificate: certificate) else {
      return false
    }
    return own == other
  }

  /// Whether the authority's public key has this SHA-256, which is what a pairing token names.
  public func hasKey(hash: [UInt8]) -> Bool {
    guard let key = try? PKI.spki(certificate: caDER), let own = try? Crypto.sha256(key) else { return false }
    return Crypto.equalConstantTime(own, hash)
  }
}

/// Which peers a connection is held with. Asked at every handshake, also of a resumed session.
public enum TLSTrust: Sendable {
  /// The leaf must come from an authority pinned for exactly the cluster in its URI name; its extended key usage and
  /// validity must fit. The closure is called at every handshake on its thread: pins may change without a restart.
  case pinnedAuthorities(@Sendable () -> [PinnedAuthority])
  /// Client side of pairing: the server's chain must hold an authority whose SPKI has this SHA-256.
  case pairingServerPin(spkiHash: [UInt8])
  /// Server side of pairing: any fresh self-signed key is let in, to show that it knows the token's secret.
  case pairingAnyClient
}

/// One protocol on a port: its name in ALPN and who may speak it.
public struct TLSApplication: Sendable {
  /// Name in ALPN, 1 to 255 bytes.
  public var name: String
  public var trust: TLSTrust

  public init(name: String, trust: TLSTrust) {
    self.name = name
    self.trust = trust
  }
}

/// Which end of the handshake.
public enum TLSRole: Sendable {
  case client
  case server
}
