import AgentService
import BlockDiff
import GRDB
import ReplModel

/// Records what is found wrong with points. Damage belongs to blocks, and images share them: what is found in one makes
/// every other image of the volume doubtful there, in the same transaction, until ``DoubtReader`` has read it.
///
/// Any thread may call. Each finding is a file beside the points before it is a record, so that it outlives the database.
struct DamageBook: Sendable {
  let context: TargetContext

  /// Segments of a point are not what was sealed, or cannot be read: the point is `suspect`, and a session that wants
  /// them repaired is asked for. What is known already is not told again.
  ///
  /// - Parameters:
  ///   - seen: the point when it was read, if that took a while: a point that was repaired since is another image.
  ///   - reason: for people; an error of reading names file and offset.
  ///   - event: the reason of the event.
  ///   - note: records the reading that found it, in the same transaction and before the finding counts as one: what a
  ///     reading finds is not held against the point since that reading began.
  func found(
    _ segments: SegmentSet, in point: PointID, of source: SourceVolume, seen: ImageVersion? = nil,
    because reason: String, event: String = "PointDamaged", noting note: (Database) throws -> Void = { _ in }
  ) throws(ReplError) {
    let known = try context.database.read { try CatalogPoint.find($0, source, point) }
    guard let known else { return }
    guard !segments.clamped(toVolume: known.seal.size).isSubset(of: known.damagedSegments) else {
      // Whether another block of the segment went since cannot be told: the others are read there once more. The file of
      // the first finding is kept as long as the point is damaged.
      return try context.database.write { database in
        try note(database)
        try CatalogPoint.doubt(database, source, segments, except: point)
      }
    }
    try raise(.segments(segments), of: source, because: reason) { database in
      try note(database)
      try CatalogPoint.damage(database, source, point, segments, seen: seen)
      try CatalogPoint.doubt(database, source, segments, except: point)
    }
    try context.repairs.review(source.cluster, in: context.database)
    context.metrics.mismatch(.target, segments: Int(clamping: segments.count))
    post("RecoveryPoint", point.description, event, "point \(point) is not what was sealed: \(reason)")
  }

  /// Segments may be damaged in any image of the volume: all are read there.
  func doubt(_ segments: SegmentSet, of source: SourceVolume, because reason: String) throws(ReplError) {
    try raise(.segments(segments), of: source, because: reason) { database in
      try CatalogPoint.doubt(database, source, segments)
    }
  }

  /// A point is not to be trusted until it was read whole.
  func suspect(
    _ point: PointID, of source: SourceVolume, because reason: String, event: String = "PointSuspect"
  ) throws(ReplError) {
    let known = try context.database.read { try CatalogPoint.find($0, source, point) }
    guard let known, known.suspicion == nil else { return }
    try raise(.point(point), of: source, because: reason) { database in
      try CatalogPoint.suspect(database, source, point, because: reason)
    }
    post(
      "RecoveryPoint", point.description, event, "point \(point) is suspect: \(reason); verify it by reading")
  }

  /// The source of some points doubts what it sealed: reading them here proves nothing.
  func doubtSealed(_ points: [PointID], of source: SourceVolume, because reason: String) throws(ReplError) {
    guard !points.isEmpty else { return }
    try raise(.sealed(points), of: source, because: reason) { database in
      for point in points { try CatalogPoint.doubtSealed(database, source, point, because: reason) }
    }
    post(
      "Volume", source.volume.description, "PointsSuspect",
      "\(points.count) points of volume \(source.volume) of \(source.cluster) are suspect: \(reason)")
  }

  /// Removes what is kept of findings of a volume when nothing is left of them. Failures are made up for by the next
  /// start.
  func settle(_ source: SourceVolume) {
    guard (try? hasUnrecordedMember(source)) == false else { return }
    guard let settled = try? context.database.write({ try FindingRecord.takeSettled($0, source) }) else { return }
    for finding in settled {
      try? context.store(pool: finding.pool).remove(finding.id, of: source)
    }
  }

  /// Whether a sealed staging area has no record: a start that takes it for prepared knows of it what the findings say.
  private func hasUnrecordedMember(_ source: SourceVolume) throws(ReplError) -> Bool {
    let record = try context.database.read {
      try PreparedRecord.find($0, cluster: source.cluster, volume: source.volume)
    }
    guard record == nil else { return false }
    for entry in context.pools.entries where entry.pool.supportsPoints {
      if try entry.pool.points.preparedPoint(of: source) != nil { return true }
    }
    return false
  }

  /// Applies the findings of a pool of which the database knows nothing: after a crash between file and record, and
  /// after the loss of the database. Reading decides what they come to now.
  ///
  /// - Parameter skipped: takes what cannot be looked at.
  func applyUnrecorded(in entry: PoolSet.Entry, _ skipped: inout [SkippedEntry]) throws(ReplError) {
    let store = entry.pool.points
    for source in try store.sources(&skipped) {
      for finding in try store.findings(of: source) {
        try context.database.write { database in
          guard try !FindingRecord.exists(database, finding.id) else { return }
          try FindingRecord.insert(database, finding.id, source, pool: entry.name)
          try Self.apply(finding, of: source, database)
        }
      }
    }
  }

  static func apply(_ finding: Finding, of source: SourceVolume, _ database: Database) throws {
    switch finding.content {
    case .segments(let segments): try CatalogPoint.doubt(database, source, segments)
    case .point(let point): try CatalogPoint.suspect(database, source, point, because: finding.reason)
    case .sealed(let points):
      for point in points { try CatalogPoint.doubtSealed(database, source, point, because: finding.reason) }
    }
  }

  /// File first, then the record. A pool that takes no file is no reason to trust anything: then the record is all.
  private func raise(
    _ content: Finding.Content, of source: SourceVolume, because reason: String, _ body: (Database) throws -> Void
  ) throws(ReplError) {
    let finding = Finding(content, reason: reason)
    let volume = try context.database.read {
      try Replica.find($0, cluster: source.cluster, volume: source.volume)
    }
    guard let volume else {
      throw ReplError(.notFound, subject: "\(source)", cause: "is not held here")
    }
    var isKept = true
    do throws(ReplError) {
      try context.store(pool: volume.pool).write(finding, of: source)
    } catch {
      isKept = false
      context.metrics.storageError(error)
    }
    try context.database.write { [isKept] database in
      if isKept { try FindingRecord.insert(database, finding.id, source, pool: volume.pool) }
      try body(database)
    }
  }

  private func post(_ kind: String, _ name: String, _ reason: String, _ message: String) {
    context.events.post(ObjectReference(kind: kind, namespace: "", name: name, uid: ""), warning: true, reason, message)
  }
}
