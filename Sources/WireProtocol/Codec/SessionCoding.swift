import ReplModel

extension StartSession: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(session)
    writer.writeOptional(base) { $0.write($1) }
    writer.write(kind.rawValue)
    writer.write(planDigest)
    writer.write(plannedBytes)
    writer.write(dataBytes)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(
      session: try reader.readIdentifier(),
      base: try reader.readOptional { reader throws(DecodingFailure) in try reader.readIdentifier() },
      kind: try reader.readCase("a kind of session"), planDigest: try reader.readFingerprint(),
      plannedBytes: try reader.readSize(), dataBytes: try reader.readSize())
    guard dataBytes <= plannedBytes else { throw reader.failure("no more data than is planned") }
  }
}

extension StartReply: WireCodable {
  func encode(into writer: inout ByteWriter) { writer.write(durableBytes) }
  init(from reader: inout ByteReader) throws(DecodingFailure) { self.init(durableBytes: try reader.readSize()) }
}

extension ResumeExtentsRequest: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(session)
    writer.write(offset)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(session: try reader.readIdentifier(), offset: try reader.readSize())
  }
}

extension ResumeExtentsReply: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.writeList(Array(extents.prefix(ResumeExtentsRequest.pageLimit))) { writer, extent in
      writer.write(extent.offset)
      writer.write(extent.length)
    }
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(
      extents: try reader.readList(limit: ResumeExtentsRequest.pageLimit) { reader throws(DecodingFailure) in
        try reader.readExtent()
      })
    guard zip(extents, extents.dropFirst()).allSatisfy({ $0.end <= $1.offset }),
      extents.dropLast().allSatisfy({ $0.length % blockSize == 0 })
    else { throw reader.failure("extents ascending, disjoint and of whole blocks") }
  }
}

extension SegmentSumsRequest: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(volume)
    writer.write(point)
    writer.write(firstSegment)
    writer.write(count)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(
      volume: try reader.readIdentifier(), point: try reader.readIdentifier(),
      firstSegment: try reader.readSegment(), count: try reader.read())
    guard (1...UInt32(Self.pageLimit)).contains(count) else {
      throw reader.failure("a count from 1 to \(Self.pageLimit), found \(count)")
    }
  }
}

extension SegmentSumsReply: WireCodable {
  func encode(into writer: inout ByteWriter) { writer.write(Array(sums.prefix(SegmentSumsRequest.pageLimit))) }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(sums: try reader.readSums(limit: SegmentSumsRequest.pageLimit))
  }
}

extension SealSession: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(session)
    writer.write(seal)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(session: try reader.readIdentifier(), seal: try reader.readSeal())
  }
}

extension SealReply: WireCodable {
  func encode(into writer: inout ByteWriter) {
    switch self {
    case .prepared: writer.write(UInt8(1))
    case .mismatch(let sums, let final):
      writer.write(UInt8(2))
      writer.write(Array(sums.prefix(Self.mismatchLimit)))
      writer.write(final)
    }
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    let tag: UInt8 = try reader.read()
    switch tag {
    case 1: self = .prepared
    case 2: self = .mismatch(sums: try reader.readSums(limit: Self.mismatchLimit), final: try reader.readBool())
    default: throw reader.failure("an answer 1 or 2, found \(tag)")
    }
  }
}

extension CommitGroup: WireCodable {
  func encode(into writer: inout ByteWriter) { writer.write(group) }
  init(from reader: inout ByteReader) throws(DecodingFailure) { self.init(group: try reader.readIdentifier()) }
}

extension CommitReply: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(sealedAt)
    writer.writeList(points) { $0.write($1) }
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(
      sealedAt: try reader.readInstant(),
      points: try reader.readList(limit: Seal.memberLimit) { reader throws(DecodingFailure) in
        try reader.readIdentifier()
      })
  }
}

extension ConfirmGroup: WireCodable {
  func encode(into writer: inout ByteWriter) { writer.write(group) }
  init(from reader: inout ByteReader) throws(DecodingFailure) { self.init(group: try reader.readIdentifier()) }
}

extension AbortSession: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(session)
    writer.write(discard)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(session: try reader.readIdentifier(), discard: try reader.readBool())
  }
}

extension Unpair: WireCodable {
  func encode(into writer: inout ByteWriter) {}
  init(from reader: inout ByteReader) throws(DecodingFailure) { self.init() }
}
