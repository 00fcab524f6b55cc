/// Writes JSON text: keys in ascending order, so equal values give equal texts.
public struct JSONWriter {
  private var output: [UInt8] = []
  private let indent: Int

  private init(indent: Int) { self.indent = indent }

  /// The text as UTF-8; `indent` 0 writes everything on one line.
  public static func bytes(_ value: JSONValue, indent: Int = 0) -> [UInt8] {
    var writer = JSONWriter(indent: indent)
    writer.write(value, level: 0)
    return writer.output
  }

  private mutating func write(_ value: JSONValue, level: Int) {
    switch value {
    case .null: output.append(contentsOf: "null".utf8)
    case .bool(let flag): output.append(contentsOf: (flag ? "true" : "false").utf8)
    case .integer(let number): output.append(contentsOf: String(number).utf8)
    case .number(let number): output.append(contentsOf: String(number).utf8)
    case .string(let text): write(text)
    case .array(let items):
      writeList(open: "[", close: "]", count: items.count, level: level) { writer, index in
        writer.write(items[index], level: level + 1)
      }
    case .object(let fields):
      let keys = fields.keys.sorted()
      writeList(open: "{", close: "}", count: keys.count, level: level) { writer, index in
        writer.write(keys[index])
        writer.output.append(UInt8(ascii: ":"))
        if writer.indent > 0 { writer.output.append(0x20) }
        writer.write(fields[keys[index]] ?? .null, level: level + 1)
      }
    }
  }

  private mutating func writeList(
    open: Unicode.Scalar, close: Unicode.Scalar, count: Int, level: Int, item: (inout JSONWriter, Int) -> Void
  ) {
    output.append(UInt8(ascii: open))
    for index in 0..<count {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      newLine(level + 1)
      item(&self, index)
    }
    if count > 0 { newLine(level) }
    output.append(UInt8(ascii: close))
  }

  private mutating func newLine(_ level: Int) {
    guard indent > 0 else { return }
    output.append(0x0A)
    output.append(contentsOf: repeatElement(0x20, count: level * indent))
  }

  private mutating func write(_ text: String) {
    output.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""): output.append(contentsOf: #"\""#.utf8)
      case UInt8(ascii: "\\"): output.append(contentsOf: #"\\"#.utf8)
      case 0x0A: output.append(contentsOf: #"\n"#.utf8)
      case 0x0D: output.append(contentsOf: #"\r"#.utf8)
      case 0x09: output.append(contentsOf: #"\t"#.utf8)
      case 0..<0x20:
        let digits = String(byte, radix: 16)
        output.append(contentsOf: (digits.count == 1 ? #"\u000"# : #"\u00"#).utf8)
        output.append(contentsOf: digits.utf8)
      default: output.append(byte)
      }
    }
    output.append(UInt8(ascii: "\""))
  }
}

extension JSONValue {
  /// The text on one line.
  public var compactText: String { String(decoding: JSONWriter.bytes(self), as: UTF8.self) }

  /// The text with four spaces for each level, as the Stork tools print it.
  public var prettyText: String { String(decoding: JSONWriter.bytes(self, indent: 4), as: UTF8.self) }
}
