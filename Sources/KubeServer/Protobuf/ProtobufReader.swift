/// Reads the fields of one protobuf message: numbers, wire types and where their bytes are. Knows no message.
struct ProtobufReader {
  /// Why bytes are no protobuf message.
  struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    var message: String
    var offset: Int
    var description: String { "\(message) at byte \(offset)" }
  }

  /// The value of a field.
  enum Value: Hashable, Sendable {
    case varint(UInt64)
    /// Fixed-size numbers; none of the messages here has one.
    case fixed
    case bytes(ArraySlice<UInt8>)

    /// Whether it may as well not be there.
    var isEmpty: Bool {
      switch self {
      case .varint(let number): number == 0
      case .fixed: false
      case .bytes(let bytes): bytes.isEmpty
      }
    }
  }

  private let bytes: ArraySlice<UInt8>
  private var position: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  /// The next field; nil at the end.
  mutating func next() throws(Failure) -> (number: Int, value: Value)? {
    guard position < bytes.endIndex else { return nil }
    let tag = try varint()
    guard let number = Int(exactly: tag >> 3), (1...536_870_911).contains(number) else {
      throw failure("a field number out of range")
    }
    switch tag & 7 {
    case 0: return (number, .varint(try varint()))
    case 1:
      _ = try take(8)
      return (number, .fixed)
    case 2:
      let length = try varint()
      guard let count = Int(exactly: length) else { throw failure("a length out of range") }
      return (number, .bytes(try take(count)))
    case 5:
      _ = try take(4)
      return (number, .fixed)
    default: throw failure("an unknown wire type")
    }
  }

  private mutating func varint() throws(Failure) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard position < bytes.endIndex else { throw failure("an unfinished number") }
      let byte = bytes[position]
      position += 1
      guard shift < 63 || byte <= 1 else { break }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw failure("a number of more than 64 bits")
  }

  private mutating func take(_ count: Int) throws(Failure) -> ArraySlice<UInt8> {
    guard count <= bytes.endIndex - position else { throw failure("a length beyond the end") }
    defer { position += count }
    return bytes[position..<position + count]
  }

  private func failure(_ message: String) -> Failure { Failure(message: message, offset: position) }
}
