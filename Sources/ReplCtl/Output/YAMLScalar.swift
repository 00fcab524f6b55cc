import APIModel

/// Plain scalars as YAML 1.1 has them and the Kubernetes clients read them: the same file gives the same object with
/// replctl as with kubectl.
enum YAMLScalar {
  /// The value of a scalar without quotes and tags; nil for what JSON has no form of (`.inf`, `.nan`).
  static func value(_ text: String) -> JSONValue? {
    if let word = words[text] { return word }
    if unrepresentable.contains(text) { return nil }
    guard let first = text.utf8.first else { return .null }
    switch first {
    case UInt8(ascii: "."): return isFloat(text) ? number(text) : .string(text)
    case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      let plain = text.filter { $0 != "_" }
      if let integer = integer(plain) { return .integer(integer) }
      return isFloat(plain) ? number(plain) : .string(text)
    default: return .string(text)
    }
  }

  /// A key of a mapping as the text that JSON has for it; nil for null and for what is no scalar of JSON.
  static func key(_ text: String) -> String? {
    guard let value = value(text), !value.isNull else { return nil }
    return value.text
  }

  private static let words: [String: JSONValue] = {
    var words: [String: JSONValue] = [:]
    for word in ["", "~", "null", "Null", "NULL"] { words[word] = .null }
    for word in ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"] { words[word] = true }
    for word in ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"] { words[word] = false }
    return words
  }()

  private static let unrepresentable: Set<String> = [
    ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF",
  ]

  /// `10`, `-0x1F`, `0b11`, `0o17` and `017`.
  private static func integer(_ text: String) -> Int64? {
    let isNegative = text.hasPrefix("-")
    let digits = isNegative || text.hasPrefix("+") ? text.dropFirst() : text[...]
    let prefixes: [(String, Int)] = [("0x", 16), ("0X", 16), ("0b", 2), ("0B", 2), ("0o", 8), ("0O", 8)]
    var (rest, radix) = (digits, 10)
    if let (prefix, base) = prefixes.first(where: { digits.hasPrefix($0.0) }) {
      (rest, radix) = (digits.dropFirst(prefix.count), base)
    } else if digits.hasPrefix("0"), digits.count > 1 {
      (rest, radix) = (digits.dropFirst(), 8)
    }
    guard let first = rest.first, first != "+", first != "-" else { return nil }
    return Int64((isNegative ? "-" : "") + rest, radix: radix)
  }

  /// `1.5`, `.5`, `1e3`.
  private static func isFloat(_ text: String) -> Bool {
    var rest = Array(text.utf8)[...]
    func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    func isSign(_ byte: UInt8?) -> Bool { byte == 0x2B || byte == 0x2D }
    if isSign(rest.first) { rest.removeFirst() }
    let whole = rest.prefix(while: isDigit)
    rest = rest.dropFirst(whole.count)
    var fraction = 0
    if rest.first == 0x2E {
      rest.removeFirst()
      fraction = rest.prefix(while: isDigit).count
      rest = rest.dropFirst(fraction)
    }
    guard !whole.isEmpty || fraction > 0 else { return false }
    if rest.first == 0x65 || rest.first == 0x45 {
      rest.removeFirst()
      if isSign(rest.first) { rest.removeFirst() }
      guard !rest.isEmpty else { return false }
      rest = rest.drop(while: isDigit)
    }
    return rest.isEmpty
  }

  /// A whole number is one in JSON too, however it is written; what no number can hold is a text.
  private static func number(_ text: String) -> JSONValue {
    guard let value = Double(text), value.isFinite else { return .string(text) }
    return Int64(exactly: value).map(JSONValue.integer) ?? .number(value)
  }
}
