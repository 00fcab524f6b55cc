import APIModel
import KubeModel

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
