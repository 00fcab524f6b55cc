import ReplModel

extension VolumeNotice: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(volume)
    switch content {
    case .deleted: writer.write(UInt8(1))
    case .doubted(let generation, let reason):
      writer.write(UInt8(2))
      writer.write(generation)
      writer.writeCut(reason, limit: WireLimits.reason)
    }
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    volume = try reader.readIdentifier()
    let tag: UInt8 = try reader.read()
    switch tag {
    case 1: content = .deleted
    case 2: content = .doubted(after: try reader.readCounter(), reason: try reader.readText(limit: WireLimits.reason))
    default: throw reader.failure("a notice of 1 or 2, found \(tag)")
    }
  }
}
