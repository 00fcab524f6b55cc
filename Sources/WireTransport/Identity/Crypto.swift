import CStorageShims
public import ReplModel

/// The few primitives that pairing and pins need, from libcrypto.
public enum Crypto {
  /// SHA-256: 32 bytes.
  public static func sha256(_ bytes: [UInt8]) throws(ReplError) -> [UInt8] {
    try digest { output in
      bytes.withUnsafeBytes { input in
        // An empty array has no address; the digest of nothing may be given any.
        input.baseAddress.map { css_sha256($0, input.count, output) } ?? css_sha256(output, 0, output)
      }
    }
  }

  /// HMAC-SHA256: 32 bytes.
  public static func hmacSHA256(key: [UInt8], message: [UInt8]) throws(ReplError) -> [UInt8] {
    try digest { output in withSlice(key) { key in withSlice(message) { css_hmac_sha256(key, $0, output) } } }
  }

  /// Comparison whose time tells nothing about the content; arrays of different length are unequal.
  public static func equalConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    return left.withUnsafeBytes { left in
      right.withUnsafeBytes { right in
        guard let first = left.baseAddress, let second = right.baseAddress else { return true }
        return css_equal_constant_time(first, second, left.count)
      }
    }
  }

  /// Random bytes fit for keys.
  public static func random(_ count: Int) throws(ReplError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let done = bytes.withUnsafeMutableBytes { buffer in
      buffer.baseAddress.map { css_random($0, buffer.count) } ?? true
    }
    guard done else { throw ReplError(.transient, subject: "random generator", cause: "gives no bytes") }
    return bytes
  }

  private static func digest(_ body: (UnsafeMutablePointer<UInt8>) -> Bool) throws(ReplError) -> [UInt8] {
    var done = false
    let bytes = [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
      guard let start = buffer.baseAddress else { return }
      start.initialize(repeating: 0, count: 32)
      done = body(start)
      count = 32
    }
    guard done else { throw ReplError(.bug, subject: "digest", cause: "libcrypto refuses SHA-256") }
    return bytes
  }
}
