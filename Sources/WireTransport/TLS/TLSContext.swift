import CStorageShims
import ReplModel

/// Owns a css_tls_context, which never changes after it was made.
///
/// `@unchecked Sendable`: libssl counts references to a context and locks what it changes inside.
final class TLSContext: @unchecked Sendable {
  let pointer: OpaquePointer
  /// SubjectPublicKeyInfo of the leaf, DER.
  let publicKey: [UInt8]

  /// Whom a server lets through the handshake.
  enum Clients {
    /// Agents: TLS 1.3 and a certificate.
    case agents
    /// Programs of others: TLS 1.2 too, and the certificate is looked at afterwards.
    case anyProgram
  }

  convenience init(settings: TLSSettings, identity: LeafIdentity) throws(ReplError) {
    try self.init(
      role: settings.role, names: settings.applications.map(\.name), options: settings.options, identity: identity)
  }

  /// - Parameter names: protocols for ALPN, most wanted first.
  init(
    role: TLSRole, names: [String], options: TLSOptions, identity: LeafIdentity, clients: Clients = .agents
  ) throws(ReplError) {
    publicKey = try identity.publicKey()
    let names = try Self.wireForm(names)
    var error = css_tls_error()
    let chain = identity.certificateChain
    let made = Self.withSlices(chain) { slices in
      withSlice(names) { names in
        withSlice(identity.privateKeyPEM) { key -> OpaquePointer? in
          guard let first = slices.baseAddress else { return nil }
          var wanted = css_tls_options(
            server: role == .server, applications: names, chain: first, chain_count: slices.count,
            key_pem: key, resumption: options.resumption,
            ticket_lifetime: Int(options.ticketLifetime.components.seconds),
            allow_tls12: clients == .anyProgram, certificate_optional: clients == .anyProgram)
          return css_tls_context_new(&wanted, &error)
        }
      }
    }
    guard let made else { throw ReplError(.invalid, subject: "TLS identity", cause: error.message) }
    pointer = made
  }

  deinit { css_tls_context_free(pointer) }

  private static func wireForm(_ names: [String]) throws(ReplError) -> [UInt8] {
    var bytes: [UInt8] = []
    for text in names {
      let name = Array(text.utf8)
      guard (1...255).contains(name.count) else {
        throw ReplError(.invalid, subject: "protocol '\(text)'", cause: "a name has 1 to 255 bytes")
      }
      bytes.append(UInt8(name.count))
      bytes += name
    }
    guard !bytes.isEmpty else { throw ReplError(.invalid, subject: "TLS settings", cause: "no protocol is named") }
    return bytes
  }

  /// Lends several arrays at once.
  private static func withSlices<Result>(
    _ arrays: [[UInt8]], _ body: (UnsafeBufferPointer<css_slice>) -> Result
  ) -> Result {
    func lend(_ index: Int, _ slices: [css_slice]) -> Result {
      guard index < arrays.count else { return slices.withUnsafeBufferPointer(body) }
      return withSlice(arrays[index]) { lend(index + 1, slices + [$0]) }
    }
    return lend(0, [])
  }
}
