public import ReplModel

/// What a staging image is being made into. Any difference makes it useless and has it discarded.
public struct StagingIdentity: Hashable, Sendable {
  /// What the image starts from and how its fingerprint is made.
  public enum Kind: UInt8, Sendable, CaseIterable {
    /// Changes onto a clone of the base; the sum is the base's plus what changed.
    case delta = 1
    /// Everything onto an empty file.
    case full = 2
    /// Segments that differ onto a clone of the base, whose twin the source has lost; everything is read at the end.
    case comparison = 3
  }

  /// The point cloned; nil for ``Kind/full``.
  public var base: PointID?
  /// The snapshot that is shipped and the point it becomes.
  public var point: PointID
  /// Bytes.
  public var size: UInt64
  /// Digest of the source's plan.
  public var planDigest: Fingerprint
  public var kind: Kind

  public init(base: PointID?, point: PointID, size: UInt64, planDigest: Fingerprint, kind: Kind) {
    self.base = base
    self.point = point
    self.size = size
    self.planDigest = planDigest
    self.kind = kind
  }

  /// Binds a ledger to this identity.
  var digest: Fingerprint {
    var writer = ByteWriter()
    encode(into: &writer)
    return Fingerprint(binding: writer.bytes)
  }

  func encode(into writer: inout ByteWriter) {
    writer.writeOptional(base) { $0.write($1) }
    writer.write(point)
    writer.write(size)
    writer.write(planDigest)
    writer.write(kind.rawValue)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    base = try reader.readOptional { (reader) throws(DecodingFailure) in try reader.readIdentifier() }
    point = try reader.readIdentifier()
    size = try reader.read()
    guard size <= UInt64(Int64.max) else { throw reader.failure("the size of a volume, found \(size)") }
    planDigest = try reader.readFingerprint()
    let raw: UInt8 = try reader.read()
    guard let kind = Kind(rawValue: raw) else { throw reader.failure("a kind of staging, found \(raw)") }
    self.kind = kind
  }
}

/// The `header` file of a directory under `staging`, `ready` or `repair`: written last, so that it vouches for the rest.
enum StagingHeader: Hashable, Sendable {
  /// `of` is the image that was cloned, nil for an empty start: a base that was repaired since is another image.
  case staging(StagingIdentity, of: ImageStamp?)
  /// A clone of the image `of` of `base` that nothing was written into.
  case ready(base: PointID, of: ImageStamp)
  /// A clone of the point, being repaired.
  case repair(point: PointID)

  static let envelope = Envelope(magic: "RPLSTAGE", version: 2, what: "staging header")
  static let sizeLimit = 4096

  func write(to path: String, in storage: any Storage) throws(ReplError) {
    var writer = ByteWriter()
    switch self {
    case .staging(let identity, let image):
      writer.write(UInt8(1))
      identity.encode(into: &writer)
      writer.writeOptional(image) { $1.encode(into: &$0) }
    case .ready(let base, let image):
      writer.write(UInt8(2))
      writer.write(base)
      image.encode(into: &writer)
    case .repair(let point):
      writer.write(UInt8(3))
      writer.write(point)
    }
    try storage.writeFileDurably(path, Self.envelope.encode(writer.bytes))
  }

  /// The header at `path`; nil if there is none, it is damaged, unreadable or of another version: the directory is then of
  /// no use.
  static func read(_ path: String, in storage: any Storage) throws(ReplError) -> StagingHeader? {
    do throws(ReplError) {
      let bytes = try storage.readFile(path, limit: sizeLimit)
      return try envelope.decode(bytes, path: path) { (reader) throws(DecodingFailure) in try decode(&reader) }
    } catch {
      guard [.notFound, .damaged, .refused, .io].contains(error.kind) else { throw error }
      return nil
    }
  }

  private static func decode(_ reader: inout ByteReader) throws(DecodingFailure) -> StagingHeader {
    let kind: UInt8 = try reader.read()
    return switch kind {
    case 1:
      .staging(
        try StagingIdentity(from: &reader),
        of: try reader.readOptional { (reader) throws(DecodingFailure) in try ImageStamp(from: &reader) })
    case 2: .ready(base: try reader.readIdentifier(), of: try ImageStamp(from: &reader))
    case 3: .repair(point: try reader.readIdentifier())
    default: throw reader.failure("a kind of header, found \(kind)")
    }
  }
}
