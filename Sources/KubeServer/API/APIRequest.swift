public import APIModel
import KubeModel

/// A request as the handlers see it: decoded path and query, headers they care for, body within limits.
public struct APIRequest: Sendable {
  public var method: String
  /// Percent-decoded segments of the path.
  public var path: [String]
  /// Query parameters; the last value of a repeated name counts.
  public var query: [String: String]
  /// Whole `Accept` header.
  var accept: String
  /// Media type without parameters, in lower case; empty when absent.
  var contentType: String
  /// Whole `If-None-Match` header.
  var ifNoneMatch: String
  /// Whole `User-Agent` header.
  var userAgent: String
  public var body: [UInt8]
  /// The process that sent it; nil where that is not known.
  public var process: Int32?

  /// Largest body accepted, in bytes.
  static let maximumBody = 3_145_728
  /// Values of JSON in a body: one of two bytes takes many times as much memory once it is read.
  static let maximumValues = 200_000

  /// Reads the body within the limits.
  var parser: JSONParser { JSONParser(body, maximumValues: Self.maximumValues) }

  /// The body as a JSON object, for paths beside the objects; an empty body is an empty object.
  public func document() throws(StatusError) -> JSONValue {
    guard !body.isEmpty else { return .object([:]) }
    var parser = self.parser
    do {
      let value = try parser.parseDocument()
      if value.object != nil { return value }
    } catch { throw StatusError(400, "BadRequest", "the body is not valid JSON: \(error)") }
    throw StatusError(400, "BadRequest", "the body must be a JSON object")
  }

  init(
    method: String, path: String, query: String = "", accept: String = "", contentType: String = "",
    ifNoneMatch: String = "", userAgent: String = "", body: [UInt8] = []
  ) {
    self.method = method
    self.path = path.split(separator: "/").map { Self.decode($0, plusIsSpace: false) }
    self.query = [:]
    for pair in query.split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      self.query[Self.decode(parts[0], plusIsSpace: true)] =
        parts.count > 1 ? Self.decode(parts[1], plusIsSpace: true) : ""
    }
    self.accept = accept
    self.contentType =
      contentType.split(separator: ";").first.map {
        String($0).lowercased().split(separator: " ").joined()
      } ?? ""
    self.ifNoneMatch = ifNoneMatch
    self.userAgent = userAgent
    self.body = body
  }

  /// Whether a query parameter is set, as servers of Kubernetes read it: nothing but its absence, `false` and `0` is no.
  public func flag(_ name: String) -> Bool {
    guard let text = query[name] else { return false }
    return text != "0" && text.lowercased() != "false"
  }

  static let tooLarge = StatusError(
    413, "RequestEntityTooLarge", "Request entity too large: limit is \(maximumBody)")

  private static func decode(_ text: Substring, plusIsSpace: Bool) -> String {
    var bytes: [UInt8] = []
    let source = Array(text.utf8)
    var index = 0
    while index < source.count {
      let byte = source[index]
      if byte == UInt8(ascii: "%"), index + 2 < source.count,
        let high = Character(Unicode.Scalar(source[index + 1])).hexDigitValue,
        let low = Character(Unicode.Scalar(source[index + 2])).hexDigitValue
      {
        bytes.append(UInt8(high << 4 | low))
        index += 3
        continue
      }
      bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? 0x20 : byte)
      index += 1
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// An answer: a whole body, or a stream of watch events.
public enum APIResponse: Sendable {
  case json(Int, JSONValue, warnings: [String] = [])
  case bytes(Int, contentType: String, [UInt8], headers: [String: String] = [:])
  case watch(WatchStream)

  /// The code it is answered with.
  var code: Int {
    switch self {
    case .json(let code, _, _), .bytes(let code, _, _, _): code
    case .watch: 200
    }
  }

  static func status(_ error: StatusError) -> APIResponse { .json(error.code, error.json) }
  public static func text(_ code: Int, _ text: String) -> APIResponse {
    .bytes(code, contentType: "text/plain; charset=utf-8", Array(text.utf8))
  }
}
