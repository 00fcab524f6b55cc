import ReplModel

extension ByteReader {
  /// Total, index and bytes of a part, which must be exactly the bytes that belong there.
  fileprivate mutating func readPart() throws(DecodingFailure) -> (total: UInt32, index: UInt16, bytes: [UInt8]) {
    let total: UInt32 = try read()
    guard total <= WireLimits.document else {
      throw failure("a document of at most \(WireLimits.document) bytes, found \(total)")
    }
    let index: UInt16 = try read()
    guard let range = DocumentParts(total: total).range(of: index) else {
      throw failure("a part of the document, found \(index)")
    }
    let bytes = try readBlob(limit: WireLimits.documentPart)
    guard bytes.count == range.count else { throw failure("a part of \(range.count) bytes, found \(bytes.count)") }
    return (total, index, bytes)
  }
}

extension DocumentPart: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(exchange)
    writer.write(topic)
    writer.write(total)
    writer.write(index)
    writer.writeBlob(bytes)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    let exchange: ExchangeID = try reader.readIdentifier()
    let topic = try reader.readString(limit: WireLimits.documentTopic)
    guard WireName.isObjectName(topic) else { throw reader.failure("a topic: lower-case letters, digits, '-' and '.'") }
    let part = try reader.readPart()
    self.init(exchange: exchange, topic: topic, total: part.total, index: part.index, bytes: part.bytes)
  }
}

extension DocumentReply: WireCodable {
  func encode(into writer: inout ByteWriter) {
    switch self {
    case .taken: writer.write(UInt8(1))
    case .answer(let part):
      writer.write(UInt8(2))
      part.encode(into: &writer)
    }
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    let tag: UInt8 = try reader.read()
    switch tag {
    case 1: self = .taken
    case 2: self = .answer(try AnswerPart(from: &reader))
    default: throw reader.failure("1 or 2, found \(tag)")
    }
  }
}

extension AnswerRequest: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(exchange)
    writer.write(index)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(exchange: try reader.readIdentifier(), index: try reader.read())
    guard index > 0 else { throw reader.failure("a part from 1 on") }
  }
}

extension AnswerPart: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(total)
    writer.write(index)
    writer.writeBlob(bytes)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    let part = try reader.readPart()
    self.init(total: part.total, index: part.index, bytes: part.bytes)
  }
}
