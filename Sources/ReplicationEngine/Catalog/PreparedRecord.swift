import BlockDiff
import Foundation
import GRDB
import ReplModel

/// A member of a group that is proven and durable in staging and waits for the others.
struct PreparedRecord: Hashable, Sendable {
  var cluster: String
  var pool: String
  var seal: Seal
  /// As of a point.
  var doubtful = SegmentSet()
  /// As of a point.
  var findings = 0
}

extension PreparedRecord {
  init(row: Row) throws {
    cluster = try row.value("cluster")
    pool = try row.value("pool")
    seal = try row.seal("seal")
    doubtful = try row.segments("doubtful")
    findings = try row.value("findings")
  }

  /// Replaces a member of another session; the same one stays as it is.
  func insert(_ database: Database) throws {
    try database.execute(
      sql: "DELETE FROM prepared WHERE cluster = ? AND volume = ? AND point <> ?",
      arguments: [cluster, seal.volume, seal.point])
    try database.execute(
      sql: """
        INSERT INTO prepared (grp, cluster, volume, point, pool, seal, doubtful, findings) VALUES (?,?,?,?,?,?,?,?)
        ON CONFLICT (cluster, volume) DO NOTHING
        """,
      arguments: [
        seal.group, cluster, seal.volume, seal.point, pool, Data(seal.encoded), doubtful.column, findings,
      ])
  }

  // Decoded row by row: the seals of a group share their member list, and its rows do not.

  static func all(_ database: Database) throws -> [PreparedRecord] {
    try Array(
      Row.fetchCursor(database, sql: "SELECT * FROM prepared ORDER BY grp, volume").map(PreparedRecord.init(row:)))
  }

  static func group(_ database: Database, _ group: GroupID, cluster: String) throws -> [PreparedRecord] {
    try Array(
      Row.fetchCursor(
        database, sql: "SELECT * FROM prepared WHERE grp = ? AND cluster = ? ORDER BY volume",
        arguments: [group, cluster]
      ).map(PreparedRecord.init(row:)))
  }

  static func find(_ database: Database, cluster: String, volume: VolumeID) throws -> PreparedRecord? {
    try Row.fetchOne(
      database, sql: "SELECT * FROM prepared WHERE cluster = ? AND volume = ?", arguments: [cluster, volume]
    ).map(PreparedRecord.init(row:))
  }

  /// Another member of the volume, prepared meanwhile, stays.
  func delete(_ database: Database) throws {
    try database.execute(
      sql: "DELETE FROM prepared WHERE cluster = ? AND volume = ? AND point = ?",
      arguments: [cluster, seal.volume, seal.point])
  }
}
