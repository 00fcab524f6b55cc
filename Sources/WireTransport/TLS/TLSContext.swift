import CStorageShims
import ReplModel

/// Owns a css_tls_context, which never changes after it was made.
///
/// `@unchecked Sendable`: libssl counts references to a context and locks what it changes inside.
final class TLSContext: @unchecked Sendable {
  let pointer: OpaquePointer
  /// SubjectPublicKeyInfo of the leaf, DER.
  let publicKey: [UInt8]

  init(settings: TLSSettings, identity: LeafIdentity) throws(ReplError) {
    publicKey = try identity.publicKey()
    let names = try Self.wireForm(settings.applications)
    var error = css_tls_error()
    let chain = identity.certificateChain
    let made = Self.withSlices(chain) { slices in
      withSlice(names) { names in
        withSlice(identity.privateKeyPEM) { key -> OpaquePointer? in
          guard let first = slices.baseAddress else { return nil }
          var options = css_tls_options(
            server: settings.role == .server, applications: names, chain: first, chain_count: slices.count,
            key_pem: key, resumption: settings.options.resumption,
            ticket_lifetime: Int(settings.options.ticketLifetime.components.seconds))
          return css_tls_context_new(&options, &error)
        }
      }
    }
    guard let made else { throw ReplError(.invalid, subject: "TLS identity", cause: error.message) }
    pointer = made
  }

  deinit { css_tls_context_free(pointer) }

  private static func wireForm(_ applications: [TLSApplication]) throws(ReplError) -> [UInt8] {
    var bytes: [UInt8] = []
    for application in applications {
      let name = Array(application.name.utf8)
      guard (1...255).contains(name.count) else {
        throw ReplError(.invalid, subject: "protocol '\(application.name)'", cause: "a name has 1 to 255 bytes")
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
