import BlockDiff
import GRDB
import ReplModel

/// The promotion of a volume held for another cluster: an intent until the live file is there.
struct PromotionRecord: Hashable, Sendable {
  var source: SourceVolume
  var mark: PromotionMark

  /// What a later session of the volume is told.
  var inUse: String { "volume in use: promoted at \(mark.site) at \(mark.promotedAt.rfc3339Seconds)" }
}

extension PromotionRecord {
  init(row: Row) throws {
    source = try SourceVolume(cluster: try row.value("cluster"), volume: try row.value("volume"))
    mark = PromotionMark(
      point: try row.value("point"), path: try row.value("path"), site: try row.value("site"),
      promotedAt: try row.value("promotedAt"),
      branch: Branch(epoch: try row.count("branchEpoch"), id: try row.value("branchID")),
      isLive: try row.value("isLive"))
  }

  func save(_ database: Database) throws {
    try database.execute(
      sql: """
        INSERT OR REPLACE INTO promotion (cluster, volume, point, path, site, promotedAt, branchEpoch, branchID, isLive)
        VALUES (?,?,?,?,?,?,?,?,?)
        """,
      arguments: [
        source.cluster, source.volume, mark.point, mark.path, mark.site, mark.promotedAt,
        Int64(clamping: mark.branch.epoch), mark.branch.id, mark.isLive,
      ])
  }

  /// The live file is there. One that was taken back meanwhile stays so.
  func setLive(_ database: Database) throws {
    try database.execute(
      sql: "UPDATE promotion SET isLive = 1 WHERE cluster = ? AND volume = ? AND point = ?",
      arguments: [source.cluster, source.volume, mark.point])
  }

  static func find(_ database: Database, _ source: SourceVolume) throws -> PromotionRecord? {
    try Row.fetchOne(
      database, sql: "SELECT * FROM promotion WHERE cluster = ? AND volume = ?",
      arguments: [source.cluster, source.volume]
    ).map(PromotionRecord.init(row:))
  }

  func delete(_ database: Database) throws {
    try database.execute(
      sql: "DELETE FROM promotion WHERE cluster = ? AND volume = ?", arguments: [source.cluster, source.volume])
  }
}
