import CStorageShims
import Glibc
public import ReplModel
import Threads

/// The keys of the loopback listener: an authority of its own, in a directory of its own, that no peer knows and that
/// vouches for nothing else. Safe on every thread.
public final class FrontAuthority: Sendable {
  /// Seconds a server certificate lives; it is in memory only and made anew when a third is left.
  static let serverLifetime: Int64 = 30 * 86_400
  /// Seconds a client certificate lives.
  static let clientLifetime: Int64 = 365 * 86_400

  private struct Server {
    var madeAt: Int64
    var context: TLSContext
  }

  private let authority: CertificateAuthority
  private let identity: PeerIdentity
  private let clock: @Sendable () -> Int64
  private let server = Turn<Server?>(nil)

  /// Loads the authority from `directory` (mode 0700, made when missing), or makes it.
  ///
  /// - Parameters:
  ///   - clusterID: shown in the server's certificate, as is `node`.
  ///   - clock: seconds since 1970.
  /// - Throws: as ``CertificateAuthority/loadOrCreate(directory:)``.
  public init(
    directory: String, clusterID: String, node: String, clock: @escaping @Sendable () -> Int64 = wallClock
  ) throws(ReplError) {
    guard mkdir(directory, 0o700) == 0 || errno == EEXIST else {
      throw ReplError(.io, subject: directory, cause: "cannot be made: \(systemText(errno))")
    }
    let identity = PeerIdentity(clusterID: clusterID, node: node)
    try identity.validate()
    self.identity = identity
    self.clock = clock
    authority = try CertificateAuthority.loadOrCreate(directory: directory)
  }

  /// The authority's certificate, DER: what a client must trust.
  public var certificateDER: [UInt8] { authority.certificateDER }

  /// A fresh key with a certificate that opens the listener: user `admin` of the group `repl-agent`, for one year.
  public func makeClient() throws(ReplError) -> LeafIdentity {
    let now = clock()
    return try issueClient(notBefore: now - backdating, notAfter: now + Self.clientLifetime)
  }

  func issueClient(notBefore: Int64, notAfter: Int64) throws(ReplError) -> LeafIdentity {
    try authority.issue(
      PKI.Request(
        commonName: "admin", organization: "repl-agent", notBefore: notBefore, notAfter: notAfter,
        purposes: PKI.clientPurpose, keyPEM: try PKI.generateKey()))
  }

  /// The server's side of the next handshake.
  func context() throws(ReplError) -> TLSContext {
    let now = clock()
    return try server.take { server throws(ReplError) in
      // One that a clock made which was ahead is from the future once that is set right.
      if let server, (server.madeAt - backdating / 2...server.madeAt + Self.serverLifetime * 2 / 3).contains(now) {
        return server.context
      }
      let context = try TLSContext(
        role: .server, names: ["http/1.1"], options: TLSOptions(), identity: try makeServer(now), clients: .anyProgram)
      server = Server(madeAt: now, context: context)
      return context
    }
  }

  func makeServer(_ now: Int64) throws(ReplError) -> LeafIdentity {
    try authority.issue(
      PKI.Request(
        commonName: "repl-agent", alternativeNames: "DNS:localhost,IP:127.0.0.1,IP:::1,URI:\(identity.uri)",
        notBefore: now - backdating, notAfter: now + Self.serverLifetime, purposes: PKI.serverPurpose,
        keyPEM: try PKI.generateKey()))
  }

  /// Whether a client's certificate is of this authority, for clients, and valid now.
  func vouches(for leaf: [UInt8]) -> Bool {
    PKI.verify(leaf: leaf, authority: certificateDER, purpose: PKI.clientPurpose, now: clock()).verdict
      == CSS_PKI_TRUSTED
  }
}
