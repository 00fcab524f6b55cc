import CStorageShims
import ReplModel

/// The calls of css_pki.h with Swift types.
enum PKI {
  /// What to certify. `issuer` nil: signed with its own key.
  struct Request {
    var commonName: String
    var organization: String?
    var uri: String?
    /// Other names, as css_pki_request has them.
    var alternativeNames: String?
    var notBefore: Int64
    var notAfter: Int64
    var isAuthority = false
    var purposes: UInt32 = 0
    var keyPEM: [UInt8]
    var issuer: (keyPEM: [UInt8], certificate: [UInt8])?
  }

  static let serverPurpose = UInt32(CSS_PKI_SERVER)
  static let clientPurpose = UInt32(CSS_PKI_CLIENT)

  /// A fresh EC P-256 key as PEM.
  static func generateKey() throws(ReplError) -> [UInt8] {
    try make("key") { css_pki_generate_key($0, $1) }
  }

  static func certify(_ request: Request) throws(ReplError) -> [UInt8] {
    try make("certificate of \(request.commonName)") { certificate, error in
      withSlice(request.keyPEM) { key in
        withSlice(request.issuer?.keyPEM ?? []) { issuerKey in
          withSlice(request.issuer?.certificate ?? []) { issuer in
            request.commonName.withCString { name in
              withOptionalCString(request.organization) { organization in
                withOptionalCString(request.uri) { uri in
                  withOptionalCString(request.alternativeNames) { names in
                    var wish = css_pki_request(
                      common_name: name, organization: organization, uri: uri, alternative_names: names,
                      not_before: request.notBefore, not_after: request.notAfter, authority: request.isAuthority,
                      purposes: request.purposes, subject_key_pem: key, issuer_key_pem: issuerKey,
                      issuer_certificate: issuer)
                    return css_pki_certify(&wish, certificate, error)
                  }
                }
              }
            }
          }
        }
      }
    }
  }

  static func inspect(_ certificate: [UInt8]) throws(ReplError) -> css_pki_details {
    var details = css_pki_details()
    var error = css_tls_error()
    guard withSlice(certificate, { css_pki_inspect($0, &details, &error) }) else {
      throw ReplError(.invalid, subject: "certificate", cause: error.message)
    }
    return details
  }

  static func spki(certificate: [UInt8]) throws(ReplError) -> [UInt8] {
    try make("certificate") { bytes, error in withSlice(certificate) { css_pki_certificate_spki($0, bytes, error) } }
  }

  static func spki(keyPEM: [UInt8]) throws(ReplError) -> [UInt8] {
    try make("key") { bytes, error in withSlice(keyPEM) { css_pki_key_spki($0, bytes, error) } }
  }

  /// Nil when trusted, else why not.
  static func verify(
    leaf: [UInt8], authority: [UInt8], purpose: UInt32, now: Int64
  ) -> (verdict: css_pki_verdict, cause: String) {
    var error = css_tls_error()
    let verdict = withSlice(leaf) { leaf in
      withSlice(authority) { css_pki_verify(leaf, $0, purpose, now, &error) }
    }
    return (verdict, error.message)
  }

  static func verifySelfSigned(_ certificate: [UInt8]) -> (verdict: css_pki_verdict, cause: String) {
    var error = css_tls_error()
    let verdict = withSlice(certificate) { css_pki_verify_self_signed($0, &error) }
    return (verdict, error.message)
  }

  /// Takes over bytes that the C side allocated.
  private static func make(
    _ subject: String, _ body: (UnsafeMutablePointer<css_bytes>, UnsafeMutablePointer<css_tls_error>) -> Bool
  ) throws(ReplError) -> [UInt8] {
    var bytes = css_bytes()
    var error = css_tls_error()
    guard body(&bytes, &error) else { throw ReplError(.invalid, subject: subject, cause: error.message) }
    return bytes.takeArray()
  }
}

extension css_bytes {
  /// Copies the bytes out and gives the memory back.
  mutating func takeArray() -> [UInt8] {
    defer { css_bytes_free(&self) }
    return data.map { Array(UnsafeBufferPointer(start: $0, count: length)) } ?? []
  }
}

extension css_tls_error {
  /// The text as a String.
  var message: String {
    withUnsafeBytes(of: text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}

extension css_pki_details {
  /// The only URI name of the certificate; nil when there is none or several.
  var onlyURI: String? {
    guard uri_count == 1 else { return nil }
    return withUnsafeBytes(of: uri) { String(validating: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}

/// Lends an array to a C call.
func withSlice<Result>(_ bytes: [UInt8], _ body: (css_slice) -> Result) -> Result {
  bytes.withUnsafeBufferPointer { body(css_slice(data: $0.baseAddress, length: $0.count)) }
}

/// Lends optional text to a C call.
func withOptionalCString<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
  guard let text else { return body(nil) }
  return text.withCString { body($0) }
}
