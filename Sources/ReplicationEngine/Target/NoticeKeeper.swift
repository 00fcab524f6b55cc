import BlockDiff
import GRDB
import ReplModel
import WireProtocol

/// Takes in what a source says of its volumes outside of sessions.
struct NoticeKeeper: Sendable {
  let context: TargetContext

  /// Idempotent; a volume that is not held is no error.
  func take(_ notice: VolumeNotice, from peer: String) throws(ReplError) {
    switch notice.content {
    case .deleted: try orphan(notice.volume, peer)
    case .doubted(let generation, let reason): try doubt(notice.volume, peer, after: generation, reason: reason)
    }
  }

  private func orphan(_ volume: VolumeID, _ peer: String) throws(ReplError) {
    let now = context.clock.now()
    try context.database.write { try TargetVolumeRecord.orphan($0, cluster: peer, volume: volume, at: now) }
    try OrphanStaging(context: context).discard(try SourceVolume(cluster: peer, volume: volume))
  }

  private func doubt(_ volume: VolumeID, _ peer: String, after generation: UInt64, reason: String) throws(ReplError) {
    let text = reason.isEmpty ? "the source may have missed changes" : reason
    let doubted = try context.database.write { database in
      let points = try CatalogPoint.all(database, cluster: peer, volume: volume).filter {
        $0.state == .sealed && $0.seal.proof == .delta && $0.seal.generation > generation
      }
      for var point in points {
        (point.state, point.doubt) = (.suspect, text)
        try point.insert(database)
      }
      return points
    }
    guard !doubted.isEmpty else { return }
    context.events.post(
      ObjectReference(kind: "Volume", namespace: "", name: volume.description, uid: ""), warning: true,
      "PointsSuspect", "\(doubted.count) points of volume \(volume) of \(peer) are suspect: \(text)")
  }
}

extension TargetVolumeRecord {
  /// The volume is gone at its source: its points stay, and age out from now on.
  static func orphan(_ database: Database, cluster: String, volume: VolumeID, at now: Timestamp) throws {
    try database.execute(
      sql: "UPDATE targetVolume SET deletedAt = COALESCE(deletedAt, ?) WHERE cluster = ? AND volume = ?",
      arguments: [now, cluster, volume])
    try database.execute(
      sql: "UPDATE point SET state = 'orphaned' WHERE cluster = ? AND volume = ? AND state = 'sealed'",
      arguments: [cluster, volume])
  }

  /// Counts time that has passed for an orphan.
  static func ageOrphan(_ database: Database, cluster: String, volume: VolumeID, seconds: Double) throws {
    try database.execute(
      sql: "UPDATE targetVolume SET orphanedSeconds = orphanedSeconds + ? WHERE cluster = ? AND volume = ?",
      arguments: [seconds, cluster, volume])
  }

  /// The source has the volume after all, from a copy of its records: its points are what they were.
  static func adopt(_ database: Database, cluster: String, volume: VolumeID) throws {
    try database.execute(
      sql: "UPDATE targetVolume SET deletedAt = NULL, orphanedSeconds = 0 WHERE cluster = ? AND volume = ?",
      arguments: [cluster, volume])
    try database.execute(
      sql: "UPDATE point SET state = 'sealed' WHERE cluster = ? AND volume = ? AND state = 'orphaned'",
      arguments: [cluster, volume])
  }
}
