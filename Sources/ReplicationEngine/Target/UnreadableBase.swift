import BlockDiff
import GRDB
import ReplModel

/// A base that cannot be read is no base: it is suspect at once, with where, until its source has repaired it or it was
/// read whole. The session begins again without it.
struct UnreadableBase: Sendable {
  let context: TargetContext

  /// Records what failed of a point that a session builds on.
  ///
  /// - Returns: what the source is answered: to begin again; the failure itself while all of the file system fails, which
  ///   says nothing of the point.
  func suspect(
    _ id: PointID, of source: SourceVolume, _ failure: ReadWitness.Failure
  ) throws(ReplError) -> ReplError {
    let found = try context.database.read {
      try CatalogPoint.find($0, cluster: source.cluster, volume: source.volume, point: id)
    }
    guard let point = found, let layout = context.pools.layout(named: point.pool),
      context.pools.answers(around: layout.point(source, id).directory)
    else { return failure.error }
    let segments = segments(failure.extent, size: point.seal.size)
    let isNews = try context.database.write {
      try CatalogPoint.suspectUnread($0, source, id, segments: segments)
    }
    try context.repairs.review(source.cluster, in: context.database)
    let cause = "\(failure.error.subject): \(failure.error.cause)"
    if isNews {
      let disk = context.storage.device(of: layout.pool).map { ", on disk \($0)" } ?? ""
      context.events.post(
        ObjectReference(kind: "RecoveryPoint", namespace: "", name: id.description, uid: ""), warning: true,
        "PointUnreadable",
        "point \(id) is suspect: it cannot be read (\(cause)\(disk)); sessions go on without it until it is repaired")
    }
    return ReplError(
      .transient, subject: "recovery point \(id)", cause: "cannot be read and is suspect (\(cause))",
      remedy: "begin the session again: it goes on without it")
  }

  /// Segments that a failed read touched; none where it is not known what was read.
  private func segments(_ extent: Extent?, size: UInt64) -> [UInt64] {
    guard let extent, !extent.isEmpty, extent.offset < size else { return [] }
    let last = (min(extent.end, size) - 1) / segmentSize
    return Array((extent.offset / segmentSize...last).prefix(64))
  }
}

extension CatalogPoint {
  /// A sealed point of which a part cannot be read; false if it was not listed as sealed. Findings there are stay.
  static func suspectUnread(
    _ database: Database, _ source: SourceVolume, _ point: PointID, segments: [UInt64]
  ) throws -> Bool {
    try database.execute(
      sql: """
        UPDATE point SET damaged = ? WHERE cluster = ? AND volume = ? AND point = ? AND damaged IS NULL
          AND state IN ('sealed', 'suspect')
        """,
      arguments: [
        segments.isEmpty ? nil : SegmentList.encode(segments), source.cluster, source.volume, point,
      ])
    try database.execute(
      sql: "UPDATE point SET state = 'suspect' WHERE cluster = ? AND volume = ? AND point = ? AND state = 'sealed'",
      arguments: [source.cluster, source.volume, point])
    return database.changesCount > 0
  }
}
