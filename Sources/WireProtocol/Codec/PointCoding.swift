import ReplModel

extension QueryPoint: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(volume)
    writer.write(point)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(volume: try reader.readIdentifier(), point: try reader.readIdentifier())
  }
}

extension QueryPointReply: WireCodable {
  func encode(into writer: inout ByteWriter) {
    switch self {
    case .unknown: writer.write(UInt8(1))
    case .prepared(let seal):
      writer.write(UInt8(2))
      writer.write(seal)
    case .sealed(let seal, let state):
      writer.write(UInt8(3))
      writer.write(seal)
      writer.write(state.rawValue)
    }
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    let tag: UInt8 = try reader.read()
    switch tag {
    case 1: self = .unknown
    case 2: self = .prepared(try reader.readSeal())
    case 3: self = .sealed(try reader.readSeal(), state: try reader.readCase("a state of a point"))
    default: throw reader.failure("an answer from 1 to 3, found \(tag)")
    }
  }
}

extension VerifyPoint: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(volume)
    writer.write(point)
    writer.write(quick)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(
      volume: try reader.readIdentifier(), point: try reader.readIdentifier(), quick: try reader.readBool())
  }
}

extension VerifyReply: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(seal)
    writer.writeOptional(computed) { $0.write($1) }
    writer.write(bytesRead)
    writer.writeList(Array(damagedSegments.prefix(WireLimits.verifyDamage))) { $0.write($1) }
    writer.write(state.rawValue)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(
      seal: try reader.readSeal(),
      computed: try reader.readOptional { reader throws(DecodingFailure) in try reader.readFingerprint() },
      bytesRead: try reader.readSize(), damagedSegments: try reader.readSegments(limit: WireLimits.verifyDamage),
      state: try reader.readCase("a state of a point"))
  }
}
