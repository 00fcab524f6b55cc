import CStorageShims
import ReplModel

/// TLS alerts that say something about certificates (RFC 8446, section 6).
private let certificateAlerts: Set<Int32> = [42, 43, 44, 45, 46, 47, 48, 49, 116]
private let versionAlert: Int32 = 70
private let protocolAlert: Int32 = 120

extension ReplError {
  /// What a failure of libssl or of the socket means to a caller.
  init(tls error: css_tls_error, subject: String) {
    switch error.alert {
    case let alert where certificateAlerts.contains(alert):
      self.init(
        .unauthenticated, subject: subject, cause: "the peer refused this agent's certificate: \(error.message)",
        remedy: "check on both sides that they are paired, their clocks right and their certificates current")
    case versionAlert:
      self.init(.protocolViolation, subject: subject, cause: "the peer does not speak TLS 1.3: \(error.message)")
    case protocolAlert:
      self.init(
        .protocolViolation, subject: subject, cause: "the peer does not speak this protocol: \(error.message)",
        remedy: "check the port, and that both sides run a version of the same major number")
    default:
      self.init(error.system != 0 ? .transient : .protocolViolation, subject: subject, cause: error.message)
    }
  }
}
