import ReplModel

/// Which texts may be names on the wire: names become directories, keys and lines of logs.
enum WireName {
  /// 1 to 253 letters, digits and `.`, `_`, `-`, `~`; for IPv6 addresses also `:` and `%`.
  static func isHost(_ text: String) -> Bool {
    (1...WireLimits.name).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        isLetterOrDigit($0) || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 || ".-_~:%".utf8.contains($0)
      }
  }

  /// As a Kubernetes name: 1 to 253 lower-case letters, digits, `-` and `.`, with a letter or digit at both ends.
  static func isObjectName(_ text: String) -> Bool {
    guard let first = text.utf8.first, let last = text.utf8.last, text.utf8.count <= WireLimits.name else {
      return false
    }
    return isLetterOrDigit(first) && isLetterOrDigit(last)
      && text.utf8.allSatisfy { isLetterOrDigit($0) || ".-".utf8.contains($0) }
  }

  /// The text with U+FFFD for every character that is not to be shown as it is, but the line feed.
  static func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isHidden) else { return text }
    var clean = String.UnicodeScalarView()
    for scalar in text.unicodeScalars { clean.append(isHidden(scalar) ? "\u{FFFD}" : scalar) }
    return String(clean)
  }

  private static func isHidden(_ scalar: Unicode.Scalar) -> Bool { scalar != "\n" && VisibleText.isHidden(scalar) }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
  }
}
