import BlockDiff
import ReplModel

/// Reads a pinned twin whole and compares it with the sums its seal was made of. A difference is a change that the
/// change source missed, or damage: either way extent maps are not trusted until a whole scrub is clean.
struct TwinScrub: Sendable {
  let context: SourceContext
  /// Differing segments after which the walk ends: it is clear by then.
  private static let differenceLimit = 4096

  /// - Returns: whether it is clean.
  @discardableResult
  func run(_ snapshot: SnapshotRecord, pace: @escaping Pace) throws(ReplError) -> Bool {
    guard let volume = try context.database.read({ try VolumeRecord.find($0, snapshot.volume) }),
      let key = try context.database.read({ try LineageKeys.find($0, volume.lineage) })
    else { return false }
    let seen = try context.database.read { try VolumeRecord.findings($0, volume.id, peer: snapshot.peer) }
    let differing = try compare(snapshot, key, context.metrics.counted(.source, pace))
    guard differing.isEmpty else {
      try distrust(volume, snapshot, differing, foundBy: "a scrub")
      return false
    }
    let now = context.clock.now()
    try context.database.write { database in
      try SnapshotRecord.setScrubbed(database, snapshot.point, now)
      try VolumeRecord.trust(database, volume.id, peer: snapshot.peer, seen: seen)
      try CleanScrub.record(database, volume: volume.id, peer: snapshot.peer, generation: snapshot.generation)
    }
    return true
  }

  /// Records that a twin was read and is not what was sealed, and has the targets told.
  ///
  /// - Parameter differing: the segments that differ; none if only the sum of the whole does.
  func distrust(
    _ volume: VolumeRecord, _ snapshot: SnapshotRecord, _ differing: [UInt64], foundBy finder: String
  ) throws(ReplError) {
    let now = context.clock.now()
    try context.database.write { database in
      try SnapshotRecord.setScrubbed(database, snapshot.point, now)
      let reason =
        "\(finder) found \(differing.count) segments of snapshot \(snapshot.point) that differ from its sums"
      try VolumeRecord.distrust(database, volume.id, peer: snapshot.peer, because: reason)
      try NoticeRecord.tell(database, of: volume.id) { peer in
        let clean = try CleanScrub.find(database, volume.id, peer: peer) ?? 0
        return .doubted(after: clean, reason: reason)
      }
    }
    context.metrics.mismatch(.source, segments: differing.count)
    context.events.post(
      namespace: volume.namespace, volume: volume.name, warning: true, "MissedChange",
      "\(differing.count) segments of the twin of point \(snapshot.point) differ from what was sealed; "
        + "they are in the next session, segment sums are compared until a whole scrub is clean, and the points made "
        + "since the last clean one are suspect")
  }

  /// The segments whose bytes are not what their sums say, ascending.
  func compare(_ snapshot: SnapshotRecord, _ key: FingerprintKey, _ pace: Pace) throws(ReplError) -> [UInt64] {
    let image = try context.storage.open(snapshot.imagePath, .read)
    defer { try? image.close() }
    let table = try SegmentTable.open(snapshot.segmentsPath, in: context.storage)
    defer { try? table.close() }
    var walk = try ScrubWalk(image: image, table: table, key: key)
    var differing: [UInt64] = []
    while differing.count < Self.differenceLimit, let step = try walk.next(pace: pace) {
      if !step.isClean { differing.append(step.segment) }
    }
    return differing
  }
}
