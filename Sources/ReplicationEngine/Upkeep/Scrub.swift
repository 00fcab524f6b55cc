import BlockDiff
import Foundation
import GRDB
import ReplModel

extension ReplicationEngine {
  /// Scrubs one point or twin that is due, if there is one: every allocated segment of a target volume's newest point
  /// and of a source volume's newest pinned twin, once in `scrub.period`.
  func scrubOnce(isStopped: @escaping @Sendable () -> Bool) {
    let limiter = RateLimiter(bytesPerSecond: configuration.scrubRate)
    let pace: Pace = { (bytes) throws(ReplError) in
      if isStopped() { throw ReplError(.cancelled, subject: "scrub", cause: "the agent is stopping") }
      limiter.spend(bytes)
    }
    do throws(ReplError) {
      if let due = try dueTwin() { return try TwinScrub(context: source).run(due, pace: pace) }
      if let due = try duePoint() { try scrub(due, pace: pace) }
    } catch {
      guard error.kind != .cancelled else { return }
      source.metrics.scrubFailed(error)
      logger.error("scrub failed", metadata: ["reason": "\(error)"])
    }
  }

  private var dueBefore: Timestamp {
    Timestamp(nanoseconds: clock.now().nanoseconds - Int64(configuration.scrubPeriod * 1e9))
  }

  /// The newest sealed point of a volume, if it was not read whole within the period.
  private func duePoint() throws(ReplError) -> CatalogPoint? {
    for volume in try database.read({ try TargetVolumeRecord.all($0) }) {
      let points = try database.read {
        try CatalogPoint.all($0, cluster: volume.cluster, volume: volume.volume)
      }
      guard let newest = points.first(where: { $0.state == .sealed }) else { continue }
      if (newest.provenAt ?? newest.sealedAt) < dueBefore { return newest }
    }
    return nil
  }

  private func scrub(_ point: CatalogPoint, pace: @escaping Pace) throws(ReplError) {
    let source = try SourceVolume(cluster: point.cluster, volume: point.volume)
    let verifier = PointVerifier(context: target.context)
    let reply = try verifier.verify(source, point.point, quick: false, pace: pace)
    logger.info(
      "point scrubbed", metadata: ["point": "\(point.point)", "damagedSegments": "\(reply.damagedSegments.count)"])
  }

  private func dueTwin() throws(ReplError) -> SnapshotRecord? {
    try database.read { database in
      for volume in try VolumeRecord.all(database) {
        let newest = try SnapshotRecord.all(database, volume: volume.id).first { $0.state == .sealed && $0.hasImage }
        guard let newest else { continue }
        let row = try Row.fetchOne(
          database, sql: "SELECT scrubbedAt FROM snapshot WHERE point = ?", arguments: [newest.point])
        let last: Timestamp = (row?["scrubbedAt"] as Timestamp?) ?? newest.takenAt
        if last < self.dueBefore { return newest }
      }
      return nil
    }
  }
}

/// Reads a pinned twin whole and compares it with the sums its seal was made of. A difference is a change that the
/// change source missed, or damage: either way extent maps are not trusted until a whole scrub is clean.
struct TwinScrub: Sendable {
  let context: SourceContext
  /// Differing segments after which the walk ends: it is clear by then.
  private static let differenceLimit = 4096

  func run(_ snapshot: SnapshotRecord, pace: @escaping Pace) throws(ReplError) {
    guard let volume = try context.database.read({ try VolumeRecord.find($0, snapshot.volume) }),
      let key = try context.database.read({ try LineageKeys.find($0, volume.lineage) })
    else { return }
    let read = context.metrics.scrubbing(.source)
    let differing = try compare(snapshot, key) { (bytes) throws(ReplError) in
      try pace(bytes)
      read.increment(by: Int64(clamping: bytes))
    }
    let now = context.clock.now()
    try context.database.write { database in
      try database.execute(
        sql: "UPDATE snapshot SET scrubbedAt = ? WHERE point = ?", arguments: [now, snapshot.point])
      if differing.isEmpty {
        try VolumeRecord.setDistrust(database, volume.id, nil)
        try CleanScrub.record(database, snapshot)
      } else {
        let reason = "a scrub found \(differing.count) segments of snapshot \(snapshot.point) that differ from its sums"
        try VolumeRecord.setDistrust(database, volume.id, reason)
        try NoticeRecord.tell(database, of: volume.id) { peer in
          let clean = try CleanScrub.find(database, volume.id, peer: peer) ?? Timestamp(nanoseconds: 0)
          return .doubted(since: clean, reason: reason)
        }
      }
    }
    guard !differing.isEmpty else { return }
    context.metrics.mismatch(.source, segments: differing.count)
    context.events.post(
      namespace: volume.namespace, volume: volume.name, warning: true, "MissedChange",
      "\(differing.count) segments of the twin of point \(snapshot.point) differ from what was sealed; "
        + "they are in the next session, segment sums are compared until a whole scrub is clean, and the points made "
        + "since the last clean one are suspect")
  }

  private func compare(_ snapshot: SnapshotRecord, _ key: FingerprintKey, _ pace: Pace) throws(ReplError) -> [UInt64] {
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
