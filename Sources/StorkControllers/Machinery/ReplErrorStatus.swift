public import APIModel
public import ReplModel

extension StatusError {
  /// HTTP code and reason of each kind of refusal; the one table of the API.
  private static func code(_ kind: ReplError.Kind) -> (Int, String) {
    switch kind {
    case .invalid: (422, "Invalid")
    case .notFound: (404, "NotFound")
    case .refused: (409, "Refused")
    case .transient: (503, "ServiceUnavailable")
    case .io: (500, "InputOutput")
    case .noSpace: (507, "InsufficientStorage")
    case .damaged: (500, "Damaged")
    case .noPointInTime: (409, "NoPointInTime")
    case .protocolViolation: (502, "ProtocolViolation")
    case .diverged: (409, "Diverged")
    case .cancelled: (409, "Cancelled")
    case .bug: (500, "InternalError")
    case .keyNeeded: (409, "KeyNeeded")
    case .unauthenticated: (403, "Forbidden")
    case .exists: (409, "AlreadyExists")
    case .unsupported: (501, "NotImplemented")
    }
  }

  /// An error of the engine as the API answers it: the causes carry its kind with subject and cause, and the remedy.
  public init(_ error: ReplError) {
    let (code, reason) = Self.code(error.kind)
    var causes = [Cause(reason: "\(error.kind)", message: error.cause, field: error.subject)]
    if let remedy = error.remedy { causes.append(Cause(reason: "Remedy", message: remedy)) }
    self.init(code, reason, "\(error.subject): \(error.cause)", causes: causes)
  }
}
