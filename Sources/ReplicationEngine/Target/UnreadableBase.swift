import BlockDiff
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
    let cause = "\(failure.error.subject): \(failure.error.cause)"
    let disk = context.storage.device(of: layout.pool).map { ", on disk \($0)" } ?? ""
    let reason = "it cannot be read (\(cause)\(disk)); sessions go on without it until it is repaired"
    let book = DamageBook(context: context)
    if segments.isEmpty {
      try book.suspect(id, of: source, because: reason, event: "PointUnreadable")
    } else {
      try book.found(segments, in: id, of: source, because: reason, event: "PointUnreadable")
    }
    return ReplError(
      .transient, subject: "recovery point \(id)", cause: "cannot be read and is suspect (\(cause))",
      remedy: "begin the session again: it goes on without it")
  }

  /// Segments that a failed read touched; none where it is not known what was read.
  private func segments(_ extent: Extent?, size: UInt64) -> SegmentSet {
    guard let extent, !extent.isEmpty, extent.offset < size else { return SegmentSet() }
    return SegmentSet(touching: ExtentSet([Extent(from: extent.offset, to: min(extent.end, size))]))
  }
}
