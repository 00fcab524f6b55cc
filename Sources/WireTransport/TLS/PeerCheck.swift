import CStorageShims
import ReplModel
import Threads

/// What a handshake found out about the peer.
struct VerifiedPeer: Sendable {
  /// Nil only for a pairing client, which has no certificate of a cluster.
  var identity: PeerIdentity?
  /// SubjectPublicKeyInfo of the leaf, DER.
  var publicKey: [UInt8]
  /// The authority the leaf was checked against, DER; nil for a pairing client.
  var authorityDER: [UInt8]?
}

/// Judges the certificates of one connection's peer; libssl asks it during the handshake.
final class PeerCheck: Sendable {
  private struct Refusal: Error {
    var verdict: css_pki_verdict
    var cause: String
  }

  private let settings: TLSSettings
  private let subject: String
  private let outcome = Locked<Result<VerifiedPeer, ReplError>?>(nil)

  /// - Parameter subject: the connection, for messages.
  init(settings: TLSSettings, subject: String) {
    self.settings = settings
    self.subject = subject
  }

  /// The last judgement; nil before the first.
  var result: Result<VerifiedPeer, ReplError>? { outcome.withLock { $0 } }

  /// Judges a chain, leaf first, for a protocol. Called within the handshake, and for tickets before it.
  func judge(chain: [[UInt8]], application: String) -> css_pki_verdict {
    do throws(Refusal) {
      let peer = try examine(chain, application)
      outcome.withLock { $0 = .success(peer) }
      return CSS_PKI_TRUSTED
    } catch {
      let failure = ReplError(
        .unauthenticated, subject: subject, cause: error.cause,
        remedy: "check that both sides are paired, their clocks right and their certificates current")
      outcome.withLock { $0 = .failure(failure) }
      return error.verdict
    }
  }

  private func examine(_ chain: [[UInt8]], _ application: String) throws(Refusal) -> VerifiedPeer {
    guard let leaf = chain.first else { throw Refusal(verdict: CSS_PKI_MALFORMED, cause: "no certificate was sent") }
    switch settings.trust(for: application) {
    case nil:
      throw Refusal(verdict: CSS_PKI_MALFORMED, cause: "the peer speaks none of this port's protocols")
    case .pairingAnyClient:
      return try examinePairingClient(chain, leaf)
    case .pairingServerPin(let hash):
      guard let authority = chain.dropFirst().first(where: { hasKey($0, hash: hash) }) else {
        throw Refusal(
          verdict: CSS_PKI_UNKNOWN_AUTHORITY, cause: "the server's authority is not the one of the pairing token")
      }
      return try verified(leaf, authorities: [authority], identity: try identity(of: leaf))
    case .pinnedAuthorities(let pins):
      let identity = try identity(of: leaf)
      let authorities = pins().filter { $0.clusterID == identity.clusterID }.map(\.caDER)
      guard !authorities.isEmpty else {
        throw Refusal(
          verdict: CSS_PKI_UNKNOWN_AUTHORITY, cause: "cluster '\(identity.clusterID)' is not paired with this one")
      }
      return try verified(leaf, authorities: authorities, identity: identity)
    }
  }

  private func examinePairingClient(_ chain: [[UInt8]], _ leaf: [UInt8]) throws(Refusal) -> VerifiedPeer {
    guard chain.count == 1 else {
      throw Refusal(verdict: CSS_PKI_MALFORMED, cause: "a pairing client sends one certificate, not \(chain.count)")
    }
    let check = PKI.verifySelfSigned(leaf)
    guard check.verdict == CSS_PKI_TRUSTED else { throw Refusal(verdict: check.verdict, cause: check.cause) }
    return VerifiedPeer(identity: nil, publicKey: try publicKey(of: leaf), authorityDER: nil)
  }

  private func identity(of leaf: [UInt8]) throws(Refusal) -> PeerIdentity {
    guard let details = try? PKI.inspect(leaf), let uri = details.onlyURI, let identity = PeerIdentity(uri: uri) else {
      throw Refusal(verdict: CSS_PKI_MALFORMED, cause: "the certificate does not name a cluster and a node")
    }
    return identity
  }

  /// Any of several authorities of one cluster will do; the first refusal is reported.
  private func verified(
    _ leaf: [UInt8], authorities: [[UInt8]], identity: PeerIdentity
  ) throws(Refusal) -> VerifiedPeer {
    let purpose = settings.role == .server ? PKI.clientPurpose : PKI.serverPurpose
    let now = settings.options.now()
    var refusal: Refusal?
    for authority in authorities {
      let check = PKI.verify(leaf: leaf, authority: authority, purpose: purpose, now: now)
      if check.verdict == CSS_PKI_TRUSTED {
        return VerifiedPeer(identity: identity, publicKey: try publicKey(of: leaf), authorityDER: authority)
      }
      refusal =
        refusal
        ?? Refusal(verdict: check.verdict, cause: "the certificate of \(identity) is refused: \(check.cause)")
    }
    throw refusal ?? Refusal(verdict: CSS_PKI_UNKNOWN_AUTHORITY, cause: "no authority is pinned for \(identity)")
  }

  private func publicKey(of leaf: [UInt8]) throws(Refusal) -> [UInt8] {
    guard let key = try? PKI.spki(certificate: leaf) else {
      throw Refusal(verdict: CSS_PKI_MALFORMED, cause: "the certificate has no usable key")
    }
    return key
  }

  private func hasKey(_ certificate: [UInt8], hash: [UInt8]) -> Bool {
    guard let key = try? PKI.spki(certificate: certificate), let found = try? Crypto.sha256(key) else { return false }
    return Crypto.equalConstantTime(found, hash)
  }
}
