import APIModel
import Glibc
import ReplModel

extension GlobalOptions {
  /// Prints a value in the form asked for; tables are made only when they are wanted.
  func print(_ value: JSONValue, table: () -> String) throws {
    switch output {
    case .json: Console.standard.document(JSONText.printable(value) + "\n")
    case .yaml: Console.standard.document(try YAML.text(value))
    case .table, .wide: Console.standard.line(table())
    }
  }
}

/// JSON for a terminal or a file: the same value, with JSON's own escapes for what could drive a terminal.
enum JSONText {
  static func printable(_ value: JSONValue) -> String {
    let text = value.prettyText
    var result = ""
    for scalar in text.unicodeScalars {
      guard scalar != "\n", VisibleText.isHidden(scalar) else {
        result.unicodeScalars.append(scalar)
        continue
      }
      for unit in Character(scalar).utf16 {
        let digits = String(unit, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      }
    }
    return result
  }
}

/// Texts of fields for tables.
enum Field {
  static func text(_ value: JSONValue?, _ path: String) -> String { value?[at: path]?.text ?? "" }

  /// A size for people; empty when there is none.
  static func size(_ value: JSONValue?, _ path: String) -> String {
    guard let bytes = value?[at: path]?.integer, bytes >= 0 else { return "" }
    return Quantity.rounded(UInt64(bytes))
  }

  /// Seconds for people.
  static func seconds(_ value: JSONValue?, _ path: String) -> String {
    guard let seconds = value?[at: path]?.double, seconds.isFinite, abs(seconds) < 1e12 else { return "" }
    return seconds < 60 ? "\((seconds * 10).rounded() / 10)s" : DurationText.go(Int64(seconds.rounded()))
  }

  /// A time as the Stork tools show it, in the local zone: `05 Mar 24 02:20 PST`.
  static func time(_ value: JSONValue?, _ path: String) -> String {
    guard let seconds = Timestamp.seconds(text(value, path)) else { return "" }
    return LocalTime.text(Int(seconds), "%d %b %y %H:%M %Z")
  }
}

/// Times in the zone of the person.
enum LocalTime {
  /// A time in seconds since 1970 in the form of strftime(3).
  static func text(_ seconds: Int, _ format: String) -> String {
    var moment = time_t(seconds)
    var parts = tm()
    guard localtime_r(&moment, &parts) != nil else { return "" }
    var buffer = [CChar](repeating: 0, count: 64)
    let length = strftime(&buffer, buffer.count, format, &parts)
    return String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
