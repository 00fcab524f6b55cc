import APIModel
import KubeModel

/// `resourceVersion` and `resourceVersionMatch` of a list request.
struct ListVersion: Sendable {
  private let wanted: Int64?
  private let exact: Bool

  init(_ request: APIRequest) throws(StatusError) {
    let text = request.query["resourceVersion"] ?? ""
    let match = request.query["resourceVersionMatch"] ?? ""
    guard ["", "Exact", "NotOlderThan"].contains(match) else {
      throw ObjectAPI.badOptions(
        "resourceVersionMatch: Unsupported value: \"\(match.prefix(64))\": supported values: \"Exact\", \"NotOlderThan\""
      )
    }
    if !match.isEmpty, !(request.query["continue"] ?? "").isEmpty {
      throw ObjectAPI.badOptions(
        "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided")
    }
    if text.isEmpty {
      wanted = nil
      if !match.isEmpty {
        throw ObjectAPI.badOptions(
          "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided")
      }
    } else {
      guard let version = Int64(text), version >= 0 else {
        throw StatusError(400, "BadRequest", "invalid resource version: \(text.prefix(64))")
      }
      wanted = version
    }
    exact = match == "Exact"
    if exact, wanted == 0 {
      throw ObjectAPI.badOptions(
        "resourceVersionMatch: Forbidden: resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"")
    }
  }

  /// Version 0 means "whatever is at hand, all of it".
  var ignoresLimit: Bool { wanted == 0 }

  /// Refuses a version that is not there yet, or one that is asked for exactly and gone.
  func check(current: Int64) throws(StatusError) {
    guard let wanted else { return }
    if wanted > current {
      throw StatusError(
        504, "Timeout", "Timeout: Too large resource version: \(wanted), current: \(current)",
        causes: [StatusError.Cause(reason: "ResourceVersionTooLarge", message: "Too large resource version")],
        retryAfterSeconds: 1)
    }
    if exact, wanted != current {
      throw StatusError(410, "Expired", "The resourceVersion for the provided list is too old.")
    }
  }
}
