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
    let source = try SourceVolume(cluster: peer, volume: volume)
    let doubted = try context.database.read { database in
      try CatalogPoint.all(database, cluster: peer, volume: volume).filter {
        $0.doubt == nil && $0.seal.proof == .delta && $0.seal.generation > generation
      }
    }
    try DamageBook(context: context).doubtSealed(doubted.map(\.point), of: source, because: text)
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
    try CatalogPoint.settleState(database, cluster, volume)
  }
}
