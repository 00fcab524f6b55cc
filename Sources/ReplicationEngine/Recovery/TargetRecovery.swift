import BlockDiff
import ReplModel

/// Brings files and database of the target side to one state at start-up.
struct TargetRecovery: Sendable {
  let context: TargetContext

  /// What start-up found that people should know.
  struct Report: Sendable {
    var rolledForward: [GroupID] = []
    /// Directories of points without a record: never points, never deleted here.
    var unrecorded: [String] = []
    /// Points whose files are gone.
    var missing: [String] = []
    var unfinished: [UnfinishedIntent] = []
    /// What could not be looked at or brought to an end, and is left alone.
    var skipped: [SkippedEntry] = []
  }

  func run() throws(ReplError) -> Report {
    var report = Report()
    for entry in context.pools.entries where entry.pool.supportsPoints {
      do throws(ReplError) {
        // A repair that a crash left sealed makes the point another image: before anything is judged by it.
        report.skipped += try entry.pool.points.finishRepairs()
        try DamageBook(context: context).applyUnrecorded(in: entry, &report.skipped)
      } catch {
        report.skipped.append(SkippedEntry(entry.layout.pool, "what was found in it is not applied: \(error)"))
      }
    }
    report.skipped += try OrphanStaging(context: context).discardAll()
    try adoptSealedStaging(&report)
    try rollForward(&report)
    report.unfinished = try IntentRunner(context: context).finishAtStart()
    for entry in context.pools.entries where entry.pool.supportsPoints {
      let found = try entry.pool.sweep(keeping: try contents(of: entry))
      report.unrecorded += found.unrecorded.map(\.directory)
      report.missing += found.missing.map(\.directory)
      report.skipped += found.skipped
    }
    for point in try context.database.read({ try CatalogPoint.damaged($0) }) {
      context.repairs.want(from: point.cluster)
    }
    return report
  }

  /// A crash between the seal file and its record: what is sealed was proven, so it is prepared. It becomes a point only
  /// with its whole group.
  private func adoptSealedStaging(_ report: inout Report) throws(ReplError) {
    for entry in context.pools.entries where entry.pool.supportsPoints {
      for record in try entry.pool.points.preparedPoints() {
        report.skipped.attempt(entry.layout.staging(record.source).directory) { () throws(ReplError) in
          try adopt(record, in: entry)
        }
      }
    }
  }

  private func adopt(_ record: PointRecord, in entry: PoolSet.Entry) throws(ReplError) {
    let (source, store) = (record.source, entry.pool.points)
    let (known, volume, base) = try context.database.read { database in
      (
        try PreparedRecord.find(database, cluster: source.cluster, volume: source.volume),
        try Replica.find(database, cluster: source.cluster, volume: source.volume),
        try record.seal.base.flatMap { try CatalogPoint.find(database, source, $0) }
      )
    }
    // Without an authority record the database is not the one that knew of it: `recover` decides.
    guard known == nil, volume != nil else { return }
    // What was cloned from an image that was repaired since, or is not trusted at all, is shipped again.
    guard base?.suspicion == nil, try store.isBaseUnchanged(ofPrepared: source) else {
      return try store.discardStaging(of: source)
    }
    var doubtful = base.map { $0.doubtful.union($0.damagedSegments) } ?? SegmentSet()
    // What was found before there was a record of it, or after its record was gone, is in the findings alone.
    for case .segments(let segments) in try store.findings(of: source).map(\.content) {
      doubtful = doubtful.union(segments)
    }
    let prepared = PreparedRecord(
      cluster: source.cluster, pool: entry.name, seal: record.seal,
      doubtful: doubtful.clamped(toVolume: record.seal.size))
    try context.database.write { try prepared.insert($0) }
  }

  /// Groups whose members are all prepared become points; of the others each member stays prepared for its source,
  /// which begins again and is told so.
  private func rollForward(_ report: inout Report) throws(ReplError) {
    let all = try context.database.read { try PreparedRecord.all($0) }
    let groups = Dictionary(grouping: all) { GroupKey(cluster: $0.cluster, group: $0.seal.group) }
    for (key, members) in groups.sorted(by: { $0.key.group < $1.key.group }) {
      do throws(ReplError) {
        if try rollForward(key.group, members) { report.rolledForward.append(key.group) }
      } catch {
        report.skipped.append(SkippedEntry("group \(key.group) of \(key.cluster)", "stays prepared: \(error)"))
      }
    }
  }

  /// Whether the group is whole and is published now.
  private func rollForward(_ group: GroupID, _ members: [PreparedRecord]) throws(ReplError) -> Bool {
    var present: [PreparedRecord] = []
    for member in members where try filesArePresent(member) { present.append(member) }
    for member in members where !present.contains(member) {
      try context.database.write { try member.delete($0) }
    }
    guard GroupPublisher.isWhole(present) else { return false }
    _ = try GroupPublisher(context: context).publish(group, present)
    return true
  }

  private struct GroupKey: Hashable {
    var cluster: String
    var group: GroupID
  }

  /// In staging with its seal, or already renamed to where it belongs.
  private func filesArePresent(_ member: PreparedRecord) throws(ReplError) -> Bool {
    let store = try context.store(pool: member.pool)
    let source = try member.source()
    if try store.preparedPoint(of: source)?.seal == member.seal { return true }
    do throws(ReplError) {
      return try store.point(member.seal.point, of: source).record.seal == member.seal
    } catch {
      guard [.notFound, .damaged, .io].contains(error.kind) else { throw error }
      return false
    }
  }

  private func contents(of entry: PoolSet.Entry) throws(ReplError) -> PoolContents {
    let (volumes, snapshots, mayBeMore) = try context.database.read { database in
      (
        try Replica.held(database).filter { $0.pool == entry.name },
        try VolumeRecord.all(database).flatMap { try SnapshotRecord.all(database, volume: $0.id) },
        try UnreadableRows.mayNameSnapshots(database)
      )
    }
    var contents = PoolContents()
    contents.namesAllSnapshots = !mayBeMore
    for snapshot in snapshots { contents.snapshots[snapshot.volume, default: []].insert(snapshot.point) }
    for volume in volumes {
      // A peer's name that cannot be a directory's has no files.
      guard let source = try? SourceVolume(cluster: volume.cluster, volume: volume.volume) else { continue }
      let points = try context.database.read {
        try CatalogPoint.all($0, cluster: volume.cluster, volume: volume.volume)
      }
      contents.points[source] = Set(points.map(\.point))
      contents.staging.insert(source)
    }
    return contents
  }
}
