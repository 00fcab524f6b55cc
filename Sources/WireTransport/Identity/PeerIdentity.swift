public import ReplModel

/// Who is at the other end, as the certificate says: URI `repl-agent://<clusterID>/<node>`.
public struct PeerIdentity: Hashable, Sendable, CustomStringConvertible {
  /// Longest cluster id and longest node name in bytes.
  public static let nameLimit = 253
  private static let scheme = "repl-agent://"

  public var clusterID: String
  public var node: String

  public init(clusterID: String, node: String) {
    self.clusterID = clusterID
    self.node = node
  }

  /// Reads the URI of a certificate; nil unless it is exactly of the form this package writes.
  public init?(uri: String) {
    guard uri.hasPrefix(Self.scheme) else { return nil }
    let parts = uri.dropFirst(Self.scheme.count).split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, Self.isName(parts[0]), Self.isName(parts[1]) else { return nil }
    self.init(clusterID: String(parts[0]), node: String(parts[1]))
  }

  /// The subject alternative name of the leaf certificate.
  public var uri: String { "\(Self.scheme)\(clusterID)/\(node)" }

  public var description: String { "\(clusterID)/\(node)" }

  /// Whether a cluster id or a node name can stand in a certificate: 1 to 253 of ASCII letters, digits, `-._~`.
  /// No escapes, so that one identity has one spelling.
  public static func isName(_ text: some StringProtocol) -> Bool {
    let bytes = text.utf8
    return (1...nameLimit).contains(bytes.count) && bytes.allSatisfy(isAllowed)
  }

  /// Refuses names that cannot stand in a certificate.
  public func validate() throws(ReplError) {
    for (what, name) in [("clusterID", clusterID), ("node", node)] where !Self.isName(name) {
      throw ReplError(
        .invalid, subject: "\(what) '\(name)'", cause: "the name cannot stand in a certificate",
        remedy: "use 1 to \(Self.nameLimit) of the letters a-z, A-Z, the digits and - . _ ~")
    }
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
      UInt8(ascii: "~"):
      true
    default: false
    }
  }
}
