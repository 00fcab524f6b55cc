/// Appends little-endian integers, length-prefixed text and lists to a byte buffer: the one encoding used by
/// messages, seals, ledgers and superblocks.
public struct ByteWriter: Sendable {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  public mutating func write(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  public mutating func write(_ value: Bool) { bytes.append(value ? 1 : 0) }

  public mutating func writeRaw(_ value: some Sequence<UInt8>) { bytes.append(contentsOf: value) }

  public mutating func write<Tag>(_ value: Identifier<Tag>) { writeRaw(value.bytes) }

  /// 16 bytes: low word, then high word.
  public mutating func write(_ value: Fingerprint) {
    write(value.low)
    write(value.high)
  }

  /// UInt32 count, then the bytes.
  public mutating func writeBlob(_ value: [UInt8]) {
    write(UInt32(clamping: value.count))
    writeRaw(value)
  }

  /// UInt32 count of UTF-8 bytes, then the bytes.
  public mutating func write(_ value: String) { writeBlob(Array(value.utf8)) }

  /// One byte 0 or 1, then the value if there is one.
  public mutating func writeOptional<Value>(_ value: Value?, _ body: (inout ByteWriter, Value) -> Void) {
    write(value != nil)
    if let value { body(&self, value) }
  }

  /// UInt32 count, then each element.
  public mutating func writeList<Element>(_ values: [Element], _ body: (inout ByteWriter, Element) -> Void) {
    write(UInt32(clamping: values.count))
    for value in values { body(&self, value) }
  }
}

/// Why bytes are not what they should be: where, and what was expected.
public struct DecodingFailure: Error, Hashable, Sendable, CustomStringConvertible {
  public var offset: Int
  public var expected: String
  public var description: String { "at byte \(offset): expected \(expected)" }
}

/// Reads what ``ByteWriter`` wrote. Never reads past the end, never allocates more than its input or the limit named.
public struct ByteReader: Sendable {
  private let bytes: ArraySlice<UInt8>
  private var position: Int

  public init(_ bytes: [UInt8]) { self.init(bytes[...]) }

  public init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  public var remaining: Int { bytes.endIndex - position }
  private var consumed: Int { position - bytes.startIndex }

  public func failure(_ expected: String) -> DecodingFailure {
    DecodingFailure(offset: consumed, expected: expected)
  }

  public mutating func readRaw(_ count: Int, _ what: String = "bytes") throws(DecodingFailure) -> ArraySlice<UInt8> {
    guard count >= 0, remaining >= count else { throw failure("\(count) bytes of \(what), \(remaining) are left") }
    defer { position += count }
    return bytes[position..<position + count]
  }

  public mutating func read<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws(DecodingFailure) -> Value
  {
    let raw = try readRaw(MemoryLayout<Value>.size, "integer")
    var value: Value = 0
    for byte in raw.reversed() {
      value = Value(truncatingIfNeeded: UInt64(truncatingIfNeeded: value) << 8 | UInt64(byte))
    }
    return value
  }

  public mutating func readBool() throws(DecodingFailure) -> Bool {
    let raw: UInt8 = try read()
    guard raw <= 1 else { throw failure("0 or 1, found \(raw)") }
    return raw == 1
  }

  public mutating func readIdentifier<Tag>(_ type: Tag.Type = Tag.self) throws(DecodingFailure) -> Identifier<Tag> {
    let raw = try readRaw(16, "identifier")
    guard let value = Identifier<Tag>(bytes: raw) else { throw failure("16 bytes of identifier") }
    return value
  }

  public mutating func readFingerprint() throws(DecodingFailure) -> Fingerprint {
    let low: UInt64 = try read()
    let high: UInt64 = try read()
    return Fingerprint(low: low, high: high)
  }

  public mutating func readBlob(limit: Int) throws(DecodingFailure) -> [UInt8] {
    let count: UInt32 = try read()
    guard count <= limit else { throw failure("at most \(limit) bytes, \(count) are announced") }
    return Array(try readRaw(Int(count)))
  }

  public mutating func readString(limit: Int) throws(DecodingFailure) -> String {
    let raw = try readBlob(limit: limit)
    guard let text = String(validating: raw, as: UTF8.self) else { throw failure("UTF-8 text") }
    return text
  }

  public mutating func readOptional<Value>(
    _ body: (inout ByteReader) throws(DecodingFailure) -> Value
  ) throws(DecodingFailure) -> Value? {
    try readBool() ? try body(&self) : nil
  }

  /// A list of at most `limit` elements; memory is taken as elements arrive, not as announced.
  public mutating func readList<Element>(
    limit: Int, _ body: (inout ByteReader) throws(DecodingFailure) -> Element
  ) throws(DecodingFailure) -> [Element] {
    let count: UInt32 = try read()
    guard count <= limit else { throw failure("at most \(limit) elements, \(count) are announced") }
    var values: [Element] = []
    for _ in 0..<count { values.append(try body(&self)) }
    return values
  }

  /// Fails unless everything was read.
  public func finish() throws(DecodingFailure) {
    guard remaining == 0 else { throw failure("the end, \(remaining) bytes are left") }
  }
}
