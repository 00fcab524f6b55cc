public import ReplModel

/// A frame or a message that is not as the protocol says: the connection closes with this reason.
public struct WireError: Error, Hashable, Sendable, CustomStringConvertible {
  public var reason: ReasonCode
  /// What was expected and what was found; never the contents of a secret.
  public var detail: String

  public init(_ reason: ReasonCode, _ detail: String) {
    self.reason = reason
    self.detail = detail
  }

  public var description: String { "\(reason): \(detail)" }

  /// The same as an error of the package; `subject` names the peer or the connection.
  public func asReplError(subject: String) -> ReplError {
    ReplError(reason.errorKind, subject: subject, cause: detail, remedy: reason.remedy)
  }
}

extension WireError {
  /// A body that does not decode.
  init(_ failure: DecodingFailure, in message: String) {
    self.init(.malformedBody, "\(message) \(failure)")
  }
}
