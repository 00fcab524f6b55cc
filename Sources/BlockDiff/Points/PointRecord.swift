public import ReplModel

/// The `seal` file of a point: the seal and what the target knows besides, enough to rebuild the catalogue from it.
public struct PointRecord: Hashable, Sendable {
  /// What a caller of seal says about the point besides the seal itself.
  public struct Origin: Hashable, Sendable {
    /// The volume's namespace and name at the source, for people and for `recover`.
    public var namespace: String
    public var name: String
    /// Nanoseconds to add to the source's clock to get the target's, as measured when the point was sealed; 0 when nothing was.
    public var clockOffset: Int64

    public init(namespace: String, name: String, clockOffset: Int64) {
      self.namespace = namespace
      self.name = name
      self.clockOffset = clockOffset
    }
  }

  public var seal: Seal
  public var source: SourceVolume
  public var origin: Origin
  /// Of the image, taken last. The device number is not kept: it changes from mount to mount.
  public var stamp: ImageStamp
  /// By this node's clock.
  public var sealedAt: Timestamp
  /// When every allocated block of the point, or of the point its sums build on, was last read on both sides.
  public var provenAt: Timestamp
  public var keyID: UInt64
  public var planDigest: Fingerprint

  static let envelope = Envelope(magic: "RPLPOINT", version: 1, what: "seal")
  /// Longest namespace or name, in bytes.
  static let nameLimit = 255
  /// A seal with the most members, each with the longest reason.
  static let sizeLimit = 2048 + Seal.memberLimit * 600

  var encoded: [UInt8] {
    var writer = ByteWriter()
    seal.encode(into: &writer)
    writer.write(source.cluster)
    writer.write(source.volume)
    writer.write(Self.cut(origin.namespace))
    writer.write(Self.cut(origin.name))
    writer.write(origin.clockOffset)
    stamp.encode(into: &writer)
    writer.write(sealedAt.nanoseconds)
    writer.write(provenAt.nanoseconds)
    writer.write(keyID)
    writer.write(planDigest)
    return Self.envelope.encode(writer.bytes)
  }

  static func read(_ path: String, in storage: any Storage) throws(ReplError) -> PointRecord {
    let bytes = try storage.readFile(path, limit: sizeLimit)
    return try envelope.decode(bytes, path: path) { (reader) throws(DecodingFailure) in
      try PointRecord(from: &reader)
    }
  }

  private init(from reader: inout ByteReader) throws(DecodingFailure) {
    seal = try Seal(from: &reader)
    let cluster = try reader.readString(limit: ClusterID.limit)
    let volume: VolumeID = try reader.readIdentifier()
    guard let source = try? SourceVolume(cluster: cluster, volume: volume) else {
      throw reader.failure("a cluster id that can be a name")
    }
    self.source = source
    origin = Origin(
      namespace: try reader.readString(limit: Self.nameLimit), name: try reader.readString(limit: Self.nameLimit),
      clockOffset: try reader.read())
    stamp = try ImageStamp(from: &reader)
    sealedAt = Timestamp(nanoseconds: try reader.read())
    provenAt = Timestamp(nanoseconds: try reader.read())
    // With these nothing that is added to or taken from them overflows.
    guard [sealedAt.nanoseconds, provenAt.nanoseconds, origin.clockOffset].allSatisfy({ $0.magnitude <= 1 << 62 })
    else {
      throw reader.failure("instants between 1824 and 2116")
    }
    keyID = try reader.read()
    planDigest = try reader.readFingerprint()
  }

  init(
    seal: Seal, source: SourceVolume, origin: Origin, stamp: ImageStamp, sealedAt: Timestamp, provenAt: Timestamp,
    keyID: UInt64, planDigest: Fingerprint
  ) {
    self.seal = seal
    self.source = source
    self.origin = origin
    self.stamp = stamp
    self.sealedAt = sealedAt
    self.provenAt = provenAt
    self.keyID = keyID
    self.planDigest = planDigest
  }

  /// Names come from a peer: longer ones lose their end, at a character.
  private static func cut(_ text: String) -> String {
    var text = text
    while text.utf8.count > nameLimit { text.removeLast() }
    return text
  }
}

/// The parts of a ``FileStamp`` that hold from mount to mount: when one differs, somebody touched the image.
public struct ImageStamp: Hashable, Sendable {
  public var inode: UInt64
  public var generation: UInt32
  public var size: UInt64
  public var modified: Timestamp
  public var changed: Timestamp

  public init(_ stamp: FileStamp) {
    inode = stamp.inode
    generation = stamp.generation
    size = stamp.size
    modified = stamp.modified
    changed = stamp.changed
  }

  /// What is not as it was, in words; nil if all is.
  public func difference(from now: ImageStamp) -> String? {
    if inode != now.inode || generation != now.generation { return "it is another file" }
    if size != now.size { return "its size was \(size) bytes and is \(now.size)" }
    if modified != now.modified { return "it was written after it was sealed" }
    return changed == now.changed ? nil : "its attributes were changed after it was sealed"
  }

  func encode(into writer: inout ByteWriter) {
    writer.write(inode)
    writer.write(generation)
    writer.write(size)
    writer.write(modified.nanoseconds)
    writer.write(changed.nanoseconds)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    inode = try reader.read()
    generation = try reader.read()
    size = try reader.read()
    modified = Timestamp(nanoseconds: try reader.read())
    changed = Timestamp(nanoseconds: try reader.read())
  }
}
