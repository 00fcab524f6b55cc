import Glibc
import Logging
import ReplModel

/// Where metrics are served: `metrics.listen` of the configuration.
enum MetricsListen: Equatable, Sendable {
  case off
  case address(host: String, port: UInt16)

  static let expected = "HOST:PORT such as 127.0.0.1:9100 or [::1]:9100, or off"

  /// Reads the configured text, empty for the default, which is off; nil for what is no address.
  init?(_ text: String) {
    if text.isEmpty || text == "off" {
      self = .off
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = Self.port(text[text.index(after: colon)...]),
      let host = Self.host(text[..<colon])
    else { return nil }
    self = .address(host: host, port: port)
  }

  private static func port(_ text: Substring) -> UInt16? {
    guard text.utf8.allSatisfy({ (48...57).contains($0) }), let port = UInt16(text), port > 0 else { return nil }
    return port
  }

  /// A name or an IPv4 address, or an IPv6 address in brackets; nil for anything else.
  private static func host(_ text: Substring) -> String? {
    if text.hasPrefix("["), text.hasSuffix("]") {
      let inner = String(text.dropFirst().dropLast())
      var address = in6_addr()
      return inet_pton(AF_INET6, inner, &address) == 1 ? inner : nil
    }
    let isName = text.utf8.allSatisfy { byte in
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || [45, 46].contains(byte)
    }
    return isName && (1...253).contains(text.utf8.count) ? String(text) : nil
  }

  /// For the control plane; nil when off.
  var listener: MetricsAddress? {
    guard case .address(let host, let port) = self else { return nil }
    return MetricsAddress(host: host, port: port)
  }

  /// Whether only programs of this machine can connect.
  var isLoopback: Bool {
    guard case .address(let host, _) = self else { return true }
    if host == "localhost" { return true }
    var (v4, v6) = (in_addr(), in6_addr())
    if inet_pton(AF_INET, host, &v4) == 1 { return UInt32(bigEndian: v4.s_addr) >> 24 == 127 }
    if inet_pton(AF_INET6, host, &v6) == 1 {
      return withUnsafeBytes(of: v6) { $0.dropLast().allSatisfy { $0 == 0 } && $0[15] == 1 }
    }
    return false
  }

  /// Says so when others on the network can read the metrics: they name volumes and peers.
  func warn(_ logger: Logger) {
    guard case .address(let host, let port) = self, !isLoopback else { return }
    logger.warning(
      "metrics are served without encryption or authentication on an address that is not loopback",
      metadata: ["listen": "\(host):\(port)"])
  }
}
