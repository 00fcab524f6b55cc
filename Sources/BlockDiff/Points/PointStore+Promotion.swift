public import ReplModel

/// What lies beside the points of a volume that was promoted here, so that `recover` does not make it a target again.
public struct PromotionMark: Hashable, Sendable {
  static let envelope = Envelope(magic: "RPLPROMO", version: 1, what: "promotion")
  static let sizeLimit = 16_384

  /// The point that the live file was made of.
  public var point: PointID
  /// The live file.
  public var path: String
  /// Cluster id of the agent that promoted it.
  public var site: String
  public var promotedAt: Timestamp
  /// The branch that begins with the promotion.
  public var branch: Branch
  /// Whether the live file was there when this was written: if it is gone later, somebody has moved it away.
  public var isLive: Bool

  public init(point: PointID, path: String, site: String, promotedAt: Timestamp, branch: Branch, isLive: Bool) {
    self.point = point
    self.path = path
    self.site = site
    self.promotedAt = promotedAt
    self.branch = branch
    self.isLive = isLive
  }

  var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.write(point)
    writer.write(path)
    writer.write(site)
    writer.write(promotedAt.nanoseconds)
    writer.write(branch.epoch)
    writer.write(branch.id)
    writer.write(isLive)
    return Self.envelope.encode(writer.bytes)
  }

  init(_ bytes: [UInt8], path file: String) throws(ReplError) {
    self = try Self.envelope.decode(bytes, path: file) { (reader) throws(DecodingFailure) in
      PromotionMark(
        point: try reader.readIdentifier(), path: try reader.readString(limit: 4096),
        site: try reader.readString(limit: 1024), promotedAt: Timestamp(nanoseconds: try reader.read()),
        branch: Branch(epoch: try reader.read(), id: try reader.readIdentifier()), isLive: try reader.readBool())
    }
    guard branch.epoch <= 1 << 62 else {
      throw ReplError(.damaged, subject: file, cause: "has the epoch \(branch.epoch), which there is none of")
    }
  }
}

extension PointStore {
  /// The mark of a promoted volume; nil if it was never promoted here, `damaged` if the mark cannot be read.
  public func promotionMark(of source: SourceVolume) throws(ReplError) -> PromotionMark? {
    let path = layout.promotion(of: source)
    do throws(ReplError) {
      return try PromotionMark(try storage.readFile(path, limit: PromotionMark.sizeLimit), path: path)
    } catch  where error.kind == .notFound {
      return nil
    } catch { throw error }
  }

  /// Durable on return.
  public func write(_ mark: PromotionMark, of source: SourceVolume) throws(ReplError) {
    try storage.writeFileDurably(layout.promotion(of: source), mark.encoded)
  }

  /// Takes the mark back. Durable on return.
  public func removePromotionMark(of source: SourceVolume) throws(ReplError) {
    try storage.removeFile(layout.promotion(of: source))
    try storage.synchronizeDirectory(layout.points(of: source))
  }

  /// Makes a clone of a point the file at `path`, where nothing is yet: the ready clone by a rename if it is of that point,
  /// else a new one. Durable on return. Calling it again, after a crash too, ends in the same: the file gets its name only
  /// when it is whole.
  public func makeLive(_ point: RecoveryPoint, at path: String) throws(ReplError) {
    let directory = parentDirectory(of: path)
    try storage.makeDurableDirectories(directory, below: layout.pool)
    if try !storage.exists(path) { try cloneLive(point, at: path) }
    try storage.synchronizeDirectory(directory)
    // What is left of a ready clone must never become a staging area: its image may be the live file.
    try discardReadyClone(for: point.source)
  }

  private func cloneLive(_ point: RecoveryPoint, at path: String) throws(ReplError) {
    do throws(ReplError) {
      if try takeReadyImage(of: point, to: path) { return }
    } catch {
      // The volumes may lie in a btrfs subvolume of their own: there a rename is refused and a clone is not.
      guard error.kind == .refused else { throw error }
    }
    let temporary = path + ".promoting"
    try storage.removeFile(temporary)
    try clone(point, to: temporary)
    try storage.rename(temporary, to: path)
  }
}
