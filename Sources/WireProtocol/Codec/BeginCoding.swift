import ReplModel

extension BaseCandidate: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(point)
    writer.write(fingerprint)
    writer.write(sumsOnly)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(
      point: try reader.readIdentifier(), fingerprint: try reader.readFingerprint(), sumsOnly: try reader.readBool())
  }
}

extension BeginSession: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(session)
    writer.write(volume)
    writer.write(namespace)
    writer.write(name)
    writer.write(lineage)
    writer.writeOptional(key) { $0.writeRaw($1.bytes) }
    writer.write(branch)
    writer.write(snapshot)
    writer.write(generation)
    writer.write(size)
    writer.write(takenAt)
    writer.write(consistency.rawValue)
    writer.write(kind.rawValue)
    writer.writeList(Array(candidates.prefix(Self.candidateLimit))) { $1.encode(into: &$0) }
    writer.write(group)
    writer.writeList(members) { $1.encode(into: &$0) }
    writer.write(acceptShrink)
    writer.write(streams)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(
      session: try reader.readIdentifier(), volume: try reader.readIdentifier(),
      namespace: try reader.readName(), name: try reader.readName(),
      lineage: try reader.readIdentifier(), key: try Self.readKey(&reader), branch: try reader.readBranch(),
      snapshot: try reader.readIdentifier(), generation: try reader.readCounter(), size: try reader.readSize(),
      takenAt: try reader.readInstant(), consistency: try reader.readCase("a consistency"),
      kind: try reader.readCase("a kind of session"),
      candidates: try reader.readList(limit: Self.candidateLimit, BaseCandidate.init(from:)),
      group: try reader.readIdentifier(), members: try Self.readMembers(&reader),
      acceptShrink: try reader.readBool(), streams: try reader.read())
    guard streams >= 1 else { throw reader.failure("at least one data stream") }
    guard kind != .compare else { throw reader.failure("a kind that a session begins with") }
  }

  private static func readKey(_ reader: inout ByteReader) throws(DecodingFailure) -> FingerprintKey? {
    try reader.readOptional { reader throws(DecodingFailure) in
      guard let key = FingerprintKey(bytes: Array(try reader.readRaw(FingerprintKey.byteCount, "key"))) else {
        throw reader.failure("a key of \(FingerprintKey.byteCount) bytes")
      }
      return key
    }
  }

  private static func readMembers(_ reader: inout ByteReader) throws(DecodingFailure) -> [GroupMember] {
    let members = SharedMembers.share(
      try reader.readList(limit: Seal.memberLimit) { reader throws(DecodingFailure) in try GroupMember(from: &reader) })
    guard members.allSatisfy({ $0.size <= WireLimits.volumeSize }) else {
      throw reader.failure("members of at most 2^63 - 1 bytes")
    }
    guard zip(members, members.dropFirst()).allSatisfy({ $0.volume < $1.volume }) else {
      throw reader.failure("members ascending by volume id")
    }
    return members
  }
}

extension BeginOutcome: WireCodable {
  func encode(into writer: inout ByteWriter) {
    switch self {
    case .base(let point):
      writer.write(UInt8(1))
      writer.write(point)
    case .compareWith(let point):
      writer.write(UInt8(2))
      writer.write(point)
    case .full(let reason):
      writer.write(UInt8(3))
      writer.writeCut(reason, limit: WireLimits.reason)
    case .alreadySealed(let seal):
      writer.write(UInt8(4))
      writer.write(seal)
    case .prepared(let seal):
      writer.write(UInt8(5))
      writer.write(seal)
    case .proving(let seal):
      writer.write(UInt8(6))
      writer.write(seal)
    }
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    let tag: UInt8 = try reader.read()
    switch tag {
    case 1: self = .base(try reader.readIdentifier())
    case 2: self = .compareWith(try reader.readIdentifier())
    case 3: self = .full(reason: try reader.readText(limit: WireLimits.reason))
    case 4: self = .alreadySealed(try reader.readSeal())
    case 5: self = .prepared(try reader.readSeal())
    case 6: self = .proving(try reader.readSeal())
    default: throw reader.failure("an outcome from 1 to 6, found \(tag)")
    }
  }
}

extension StreamTicket: WireCodable {
  func encode(into writer: inout ByteWriter) { writer.writeRaw(bytes) }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    let raw = Array(try reader.readRaw(Self.byteCount, "ticket"))
    guard let ticket = Self(bytes: raw) else { throw reader.failure("a ticket of \(Self.byteCount) bytes") }
    self = ticket
  }
}

extension BeginReply: WireCodable {
  func encode(into writer: inout ByteWriter) {
    outcome.encode(into: &writer)
    writer.write(dataAddress)
    writer.write(dataPort)
    writer.write(maxChunk)
    writer.writeList(Array(tickets.prefix(Self.ticketLimit))) { $1.encode(into: &$0) }
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(
      outcome: try BeginOutcome(from: &reader), dataAddress: try reader.readHost(mayBeEmpty: true),
      dataPort: try reader.read(), maxChunk: try reader.read(),
      tickets: try reader.readList(limit: Self.ticketLimit, StreamTicket.init(from:)))
    guard WireLimits.chunkSizes.contains(maxChunk), maxChunk.nonzeroBitCount == 1 else {
      throw reader.failure("a chunk size that is a power of two from 64 KiB to 1 MiB, found \(maxChunk)")
    }
  }
}
