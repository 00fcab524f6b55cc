import APIModel

/// `resourceVersion` and `resourceVersionMatch` of a list request.
struct ListVersion: Sendable {
  private let wanted: Int64?
  private let exact: Bool

  init(_ request: APIRequest) throws(StatusError) {
    let text = request.query["resourceVersion"] ?? ""
    let match = request.query["resourceVersionMatch"] ?? ""
    if text.isEmpty {
      wanted = nil
      if !match.isEmpty {
        throw StatusError(
          422, "Invalid",
          "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden "
            + "unless resourceVersion is provided")
      }
    } else {
      guard let version = Int64(text), version >= 0 else {
        throw StatusError(400, "BadRequest", "invalid resource version: \(text)")
      }
      wanted = version
    }
    exact = match == "Exact"
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

/// Where the next page begins: opaque to clients, valid for ever.
enum ContinueToken {
  /// After this object.
  static func encode(_ object: KubeObject) -> String {
    hex(object.namespace) + "." + hex(object.name)
  }

  static func decode(_ token: String) throws(StatusError) -> (namespace: String, name: String) {
    let parts = token.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let namespace = text(parts[0]), let name = text(parts[1]), !name.isEmpty else {
      throw StatusError(400, "BadRequest", "invalid continue token: \(token.prefix(64))")
    }
    return (namespace, name)
  }

  private static func hex(_ text: String) -> String {
    text.utf8.map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
  }

  private static func text(_ hex: Substring) -> String? {
    let digits = hex.compactMap(\.hexDigitValue)
    guard digits.count == hex.count, digits.count % 2 == 0 else { return nil }
    let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    return String(validating: bytes, as: UTF8.self)
  }
}
