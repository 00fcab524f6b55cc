public import ReplModel

/// Something found wrong with images of a volume. Kept as a file of its own beside the points, durable before any record
/// of it, so that damage and doubt outlive the database: a start and `recover` apply what they find.
public struct Finding: Hashable, Sendable {
  public enum Content: Hashable, Sendable {
    /// These segments were damaged in one image. Blocks are shared: no image of the volume is trusted there until it was
    /// read.
    case segments(SegmentSet)
    /// A point that is not trusted until it was read whole.
    case point(PointID)
    /// Points whose source doubts what it sealed: reading them proves nothing.
    case sealed([PointID])
  }

  public let id: FindingID
  public let content: Content
  /// For people.
  public let reason: String

  static let envelope = Envelope(magic: "RPLFOUND", version: 1, what: "finding")
  /// Longest reason, in bytes.
  static let reasonLimit = 1024
  /// Most points that one finding names.
  static let pointLimit = 65_536
  static let sizeLimit = 2048 + pointLimit * 16

  public init(_ content: Content, reason: String, id: FindingID = .random()) {
    self.id = id
    self.content = content
    self.reason = String(decoding: reason.utf8.prefix(Self.reasonLimit), as: UTF8.self)
  }

  var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.write(id)
    writer.write(reason)
    switch content {
    case .segments(let segments):
      writer.write(UInt8(1))
      let bytes = segments.encoded
      writer.write(UInt32(bytes.count))
      writer.writeRaw(bytes)
    case .point(let point):
      writer.write(UInt8(2))
      writer.write(point)
    case .sealed(let points):
      writer.write(UInt8(3))
      writer.write(UInt32(min(points.count, Self.pointLimit)))
      for point in points.prefix(Self.pointLimit) { writer.write(point) }
    }
    return Self.envelope.encode(writer.bytes)
  }

  init(_ bytes: [UInt8], path: String) throws(ReplError) {
    self = try Self.envelope.decode(bytes, path: path) { (reader) throws(DecodingFailure) in
      let id: FindingID = try reader.readIdentifier()
      // A character that was cut is replaced by a longer one.
      let reason = try reader.readString(limit: Self.reasonLimit + 16)
      return Finding(try Self.content(&reader), reason: reason, id: id)
    }
  }

  private static func content(_ reader: inout ByteReader) throws(DecodingFailure) -> Content {
    let kind: UInt8 = try reader.read()
    switch kind {
    case 1:
      let count: UInt32 = try reader.read()
      guard let segments = SegmentSet(encoded: Array(try reader.readRaw(Int(count)))) else {
        throw reader.failure("runs of segments")
      }
      return .segments(segments)
    case 2: return .point(try reader.readIdentifier())
    case 3:
      let count: UInt32 = try reader.read()
      guard count <= pointLimit else { throw reader.failure("at most \(pointLimit) points, found \(count)") }
      var points: [PointID] = []
      for _ in 0..<count { points.append(try reader.readIdentifier()) }
      return .sealed(points)
    default: throw reader.failure("a kind of finding, found \(kind)")
    }
  }
}

extension PointStore {
  static let findingPrefix = "finding-"

  /// Durable on return.
  public func write(_ finding: Finding, of source: SourceVolume) throws(ReplError) {
    try storage.makeDurableDirectories(layout.points(of: source), below: layout.root)
    try storage.writeFileDurably(path(finding.id, source), finding.encoded)
  }

  /// What is kept of a volume. One that cannot be read counts as damage everywhere: nothing is trusted for its loss.
  public func findings(of source: SourceVolume) throws(ReplError) -> [Finding] {
    var findings: [Finding] = []
    for name in try storage.listIfPresent(layout.points(of: source)) where name.hasPrefix(Self.findingPrefix) {
      guard let id = FindingID(String(name.dropFirst(Self.findingPrefix.count))) else { continue }
      do throws(ReplError) {
        findings.append(try Finding(try storage.readFile(path(id, source), limit: Finding.sizeLimit), path: name))
      } catch {
        guard [.damaged, .refused, .io].contains(error.kind) else { throw error }
        let everywhere = SegmentSet(allOf: UInt64(Int64.max))
        findings.append(Finding(.segments(everywhere), reason: "a finding cannot be read: \(error)", id: id))
      }
    }
    return findings
  }

  /// A finding that is settled; a missing one is no error.
  public func remove(_ finding: FindingID, of source: SourceVolume) throws(ReplError) {
    try storage.removeFile(path(finding, source))
  }

  private func path(_ finding: FindingID, _ source: SourceVolume) -> String {
    layout.points(of: source) + "/" + Self.findingPrefix + finding.description
  }
}
