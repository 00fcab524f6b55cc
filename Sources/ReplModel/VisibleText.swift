/// Text of others (peers, volumes, objects) made fit for a terminal or a log: nothing in it moves a cursor, changes
/// colours, begins a line or turns the direction of writing.
public enum VisibleText {
  /// The text with control, format and line-breaking characters written as `\n`, `\t`, `\x1b` or `\u{202e}`; everything
  /// else stays as it is. Escaping a second time changes nothing.
  public static func escaped(_ text: String) -> String { escaped(text, keepingLines: false) }

  /// As ``escaped(_:)``, for text of several lines: line feeds and tabs stay.
  public static func escapedLines(_ text: String) -> String { escaped(text, keepingLines: true) }

  /// Whether a character is written as an escape.
  public static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return scalar.value < 0x20 || scalar.value == 0x7F }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: return true
    default: return false
    }
  }

  private static func escaped(_ text: String, keepingLines: Bool) -> String {
    func stays(_ scalar: Unicode.Scalar) -> Bool {
      !isHidden(scalar) || (keepingLines && (scalar == "\n" || scalar == "\t"))
    }
    if text.unicodeScalars.allSatisfy(stays) { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      if stays(scalar) { result.unicodeScalars.append(scalar) } else { result += name(scalar) }
    }
    return result
  }

  private static func name(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\n": return "\\n"
    case "\r": return "\\r"
    case "\t": return "\\t"
    default:
      let digits = String(scalar.value, radix: 16)
      guard scalar.isASCII else { return "\\u{\(digits)}" }
      return "\\x" + (digits.count == 1 ? "0" : "") + digits
    }
  }
}
