/// Reads JSON text within limits: nothing a peer sends can make it recurse or allocate without bound.
public struct JSONParser {
  /// Why a text is not acceptable JSON.
  public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was expected or exceeded.
    public var message: String
    /// Byte offset in the text.
    public var offset: Int
    public var description: String { "\(message) at byte \(offset)" }
  }

  /// Levels of nesting accepted unless told otherwise.
  public static let defaultDepth = 128

  /// Dotted paths of keys that occurred twice in one object; the last value won.
  public private(set) var duplicates: [String] = []
  private let bytes: [UInt8]
  private let maximumDepth: Int
  /// Values that may still come: each takes far more memory than the two bytes that it may have in the text.
  private var valuesLeft: Int
  private let maximumValues: Int
  private var position = 0
  private var path: [String] = []

  /// Prepares to read `bytes`, which must hold one JSON value and white space only.
  ///
  /// - Parameter maximumValues: scalars, arrays and objects together.
  public init(_ bytes: [UInt8], maximumDepth: Int = JSONParser.defaultDepth, maximumValues: Int = .max) {
    self.bytes = bytes
    self.maximumDepth = maximumDepth
    self.maximumValues = maximumValues
    valuesLeft = maximumValues
  }

  /// Reads the whole text.
  public static func parse(
    _ bytes: [UInt8], maximumDepth: Int = defaultDepth, maximumValues: Int = .max
  ) throws(Failure) -> JSONValue {
    var parser = JSONParser(bytes, maximumDepth: maximumDepth, maximumValues: maximumValues)
    return try parser.parseDocument()
  }

  /// Reads the whole text.
  public static func parse(_ text: String) throws(Failure) -> JSONValue { try parse(Array(text.utf8)) }

  /// Reads the one value of the text and checks that nothing follows it.
  public mutating func parseDocument() throws(Failure) -> JSONValue {
    let value = try parseValue(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw failure("unexpected text after the value") }
    return value
  }

  /// Reads the next of several values that follow each other; nil at the end of the text.
  public mutating func parseNext() throws(Failure) -> JSONValue? {
    skipSpace()
    guard position < bytes.count else { return nil }
    return try parseValue(depth: 0)
  }

  private func failure(_ message: String) -> Failure { Failure(message: message, offset: position) }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private mutating func parseValue(depth: Int) throws(Failure) -> JSONValue {
    guard depth < maximumDepth else { throw failure("nested deeper than \(maximumDepth) levels") }
    guard valuesLeft > 0 else { throw failure("more than \(maximumValues) values") }
    valuesLeft -= 1
    skipSpace()
    switch current {
    case UInt8(ascii: "{"): return try parseObject(depth: depth)
    case UInt8(ascii: "["): return try parseArray(depth: depth)
    case UInt8(ascii: "\""): return .string(try parseString())
    case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
    case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
    case UInt8(ascii: "n"): return try parseWord("null", .null)
    case .some(let byte) where byte == UInt8(ascii: "-") || Self.isDigit(byte): return try parseNumber()
    case .some: throw failure("unexpected character")
    case nil: throw failure("unexpected end")
    }
  }

  private mutating func parseWord(_ word: StaticString, _ value: JSONValue) throws(Failure) -> JSONValue {
    let letters = word.withUTF8Buffer { Array($0) }
    guard position + letters.count <= bytes.count,
      bytes[position..<position + letters.count].elementsEqual(letters)
    else { throw failure("unexpected character") }
    position += letters.count
    return value
  }

  private mutating func parseObject(depth: Int) throws(Failure) -> JSONValue {
    position += 1
    var fields: [String: JSONValue] = [:]
    skipSpace()
    if current == UInt8(ascii: "}") {
      position += 1
      return .object(fields)
    }
    while true {
      skipSpace()
      guard current == UInt8(ascii: "\"") else { throw failure("expected a field name") }
      let key = try parseString()
      skipSpace()
      guard current == UInt8(ascii: ":") else { throw failure("expected ':'") }
      position += 1
      path.append(key)
      let value = try parseValue(depth: depth + 1)
      if fields.updateValue(value, forKey: key) != nil, duplicates.count < 16 {
        duplicates.append(path.joined(separator: "."))
      }
      path.removeLast()
      skipSpace()
      switch current {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "}"):
        position += 1
        return .object(fields)
      default: throw failure("expected ',' or '}'")
      }
    }
  }

  private mutating func parseArray(depth: Int) throws(Failure) -> JSONValue {
    position += 1
    var items: [JSONValue] = []
    skipSpace()
    if current == UInt8(ascii: "]") {
      position += 1
      return .array(items)
    }
    while true {
      items.append(try parseValue(depth: depth + 1))
      skipSpace()
      switch current {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "]"):
        position += 1
        return .array(items)
      default: throw failure("expected ',' or ']'")
      }
    }
  }

  private mutating func parseNumber() throws(Failure) -> JSONValue {
    let start = position
    var whole = true
    if current == UInt8(ascii: "-") { position += 1 }
    let firstDigit = position
    try skipDigits()
    if bytes[firstDigit] == UInt8(ascii: "0"), position - firstDigit > 1 { throw failure("number with leading zero") }
    if current == UInt8(ascii: ".") {
      whole = false
      position += 1
      try skipDigits()
    }
    if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
      whole = false
      position += 1
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
      try skipDigits()
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if whole, let value = Int64(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else { throw failure("number out of range") }
    return .number(value)
  }

  private mutating func skipDigits() throws(Failure) {
    guard let byte = current, Self.isDigit(byte) else { throw failure("expected a digit") }
    while let byte = current, Self.isDigit(byte) { position += 1 }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
}

// Strings.
extension JSONParser {
  private mutating func parseString() throws(Failure) -> String {
    position += 1
    var start = position
    var text = ""
    while let byte = current {
      switch byte {
      case UInt8(ascii: "\""):
        text += try decode(start..<position)
        position += 1
        return text
      case UInt8(ascii: "\\"):
        text += try decode(start..<position)
        position += 1
        text.unicodeScalars.append(try parseEscape())
        start = position
      case 0..<0x20: throw failure("control character in a string")
      default: position += 1
      }
    }
    throw failure("unterminated string")
  }

  private func decode(_ range: Range<Int>) throws(Failure) -> String {
    guard !range.isEmpty else { return "" }
    guard let text = String(validating: bytes[range], as: UTF8.self) else { throw failure("invalid UTF-8") }
    return text
  }

  private mutating func parseEscape() throws(Failure) -> Unicode.Scalar {
    guard let byte = current else { throw failure("unterminated string") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return try parseCodePoint()
    default: throw failure("unknown escape")
    }
  }

  private mutating func parseCodePoint() throws(Failure) -> Unicode.Scalar {
    let high = try parseHex()
    if let scalar = Unicode.Scalar(high) { return scalar }
    guard (0xD800..<0xDC00).contains(high), current == UInt8(ascii: "\\"), position + 1 < bytes.count,
      bytes[position + 1] == UInt8(ascii: "u")
    else { return "\u{FFFD}" }
    position += 2
    let low = try parseHex()
    guard (0xDC00..<0xE000).contains(low) else { return "\u{FFFD}" }
    return Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00)) ?? "\u{FFFD}"
  }

  private mutating func parseHex() throws(Failure) -> UInt32 {
    guard position + 4 <= bytes.count else { throw failure("unterminated escape") }
    var value: UInt32 = 0
    for byte in bytes[position..<position + 4] {
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { throw failure("bad escape") }
      value = value << 4 | UInt32(digit)
    }
    position += 4
    return value
  }
}
