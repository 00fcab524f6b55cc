extension Seal {
  /// Version of the binary form, its first byte.
  public static let formatVersion: UInt8 = 1
  /// Algorithm of the fingerprint: additive XXH3-128 over 4 KiB blocks.
  public static let algorithm: UInt8 = 1
  /// Longest text of a missing member's reason, in bytes.
  static let reasonLimit = 512

  /// The binary form, drawn in docs/on-disk-format.md.
  public func encode(into writer: inout ByteWriter) {
    writer.write(Self.formatVersion)
    writer.write(Self.algorithm)
    writer.write(point)
    writer.write(volume)
    writer.write(lineage)
    writer.write(branch.epoch)
    writer.write(branch.id)
    writer.writeOptional(base) { $0.write($1) }
    writer.write(generation)
    writer.write(size)
    writer.write(fingerprint)
    writer.write(nonZeroBlocks)
    writer.write(takenAt.nanoseconds)
    writer.write(consistency.rawValue)
    writer.write(proof.rawValue)
    writer.write(group)
    writer.writeList(members) { writer, member in member.encode(into: &writer) }
  }

  public var encoded: [UInt8] {
    var writer = ByteWriter()
    encode(into: &writer)
    return writer.bytes
  }

  /// Largest volume, in bytes: what a signed file offset can name.
  static let sizeLimit = UInt64(Int64.max)
  /// Largest generation and epoch, and latest instant: counting on and differences do not overflow.
  static let counterLimit: UInt64 = 1 << 62

  /// Reads the binary form; what follows stays in `reader`. Numbers with which nothing can be counted are malformed.
  public init(from reader: inout ByteReader) throws(DecodingFailure) {
    let version: UInt8 = try reader.read()
    guard version == Self.formatVersion else { throw reader.failure("seal version 1, found \(version)") }
    let algorithm: UInt8 = try reader.read()
    guard algorithm == Self.algorithm else { throw reader.failure("seal algorithm 1, found \(algorithm)") }
    point = try reader.readIdentifier()
    volume = try reader.readIdentifier()
    lineage = try reader.readIdentifier()
    branch = Branch(epoch: try reader.read(), id: try reader.readIdentifier())
    base = try reader.readOptional { reader throws(DecodingFailure) in try reader.readIdentifier() }
    generation = try reader.read()
    size = try reader.read()
    fingerprint = try reader.readFingerprint()
    nonZeroBlocks = try reader.read()
    takenAt = Timestamp(nanoseconds: try reader.read())
    let consistency: UInt8 = try reader.read()
    guard let known = Consistency(rawValue: consistency) else {
      throw reader.failure("a consistency, found \(consistency)")
    }
    self.consistency = known
    let proof: UInt8 = try reader.read()
    guard let known = Proof(rawValue: proof) else { throw reader.failure("a proof, found \(proof)") }
    self.proof = known
    group = try reader.readIdentifier()
    members = SharedMembers.share(
      try reader.readList(limit: Self.memberLimit) { reader throws(DecodingFailure) in try GroupMember(from: &reader) })
    guard isPlausible else { throw reader.failure("a seal with numbers within the limits") }
  }

  private var isPlausible: Bool {
    let blocks = size / blockSize + (size % blockSize == 0 ? 0 : 1)
    return generation <= Self.counterLimit && branch.epoch <= Self.counterLimit && nonZeroBlocks <= blocks
      && (0...Int64(Self.counterLimit)).contains(takenAt.nanoseconds)
      && ([size] + members.map(\.size)).allSatisfy { $0 <= Self.sizeLimit }
  }
}

extension GroupMember {
  public func encode(into writer: inout ByteWriter) {
    writer.write(volume)
    writer.write(size)
    writer.writeOptional(missingReason) { $0.write(String($1.prefix(Seal.reasonLimit / 4))) }
  }

  public init(from reader: inout ByteReader) throws(DecodingFailure) {
    volume = try reader.readIdentifier()
    size = try reader.read()
    missingReason = try reader.readOptional { reader throws(DecodingFailure) in
      try reader.readString(limit: Seal.reasonLimit)
    }
  }
}
