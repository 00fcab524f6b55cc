import APIModel

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

/// Where the next page begins: opaque to clients, valid for ever.
struct ContinueToken: Sendable {
  /// Version of the first page.
  var version: Int64
  /// The last object of the page before.
  var after: (namespace: String, name: String)

  init(version: Int64, after: (namespace: String, name: String)) {
    self.version = version
    self.after = after
  }

  /// The token of a request; nil if it has none.
  init?(_ request: APIRequest) throws(StatusError) {
    guard let token = request.query["continue"], !token.isEmpty else { return nil }
    if !(request.query["resourceVersion"] ?? "").isEmpty {
      throw StatusError(400, "BadRequest", "specifying resource version is not allowed when using continue")
    }
    let parts = token.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, let version = Int64(parts[0]), version >= 0, let namespace = Self.text(parts[1]),
      let name = Self.text(parts[2]), !name.isEmpty
    else { throw StatusError(400, "BadRequest", "invalid continue token: \(token.prefix(64))") }
    self.version = version
    after = (namespace, name)
  }

  var text: String { "\(version).\(Self.hex(after.namespace)).\(Self.hex(after.name))" }

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
