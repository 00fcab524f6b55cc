public import ReplModel

/// A frame or a message that is not as the protocol says: the connection closes with this reason.
public struct WireError: Error, Hashable, Sendable, CustomStringConvertible {
  public var reason: ReasonCode
  /// What was expected and what was found; never the contents of a secret.
  public var detail: String
  /// What mends it; by default what mends everything with this reason.
  public var remedy: String?

  public init(_ reason: ReasonCode, _ detail: String, remedy: String? = nil) {
    self.reason = reason
    self.detail = detail
    self.remedy = remedy ?? reason.remedy
  }

  public var description: String { "\(reason): \(detail)" }

  /// The same as an error of the package; `subject` names the peer or the connection.
  public func asReplError(subject: String) -> ReplError {
    ReplError(reason.errorKind, subject: subject, cause: detail, remedy: remedy)
  }
}

extension WireError {
  /// A peer that speaks another major version. The words are right at both ends: they travel in the close.
  static func otherMajor(_ peer: UInt16, at cluster: String, own: UInt16) -> WireError {
    WireError(
      .unsupportedVersion, "speaks protocol \(peer), cluster \(cluster) speaks \(own)",
      remedy: peer < own ? "update repl-agent there" : "update repl-agent at cluster \(cluster)")
  }

  /// A body that does not decode.
  init(_ failure: DecodingFailure, in message: String) {
    self.init(.malformedBody, "\(message) \(failure)")
  }
}
