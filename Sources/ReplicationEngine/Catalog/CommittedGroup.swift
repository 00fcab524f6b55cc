import Foundation
import GRDB
import ReplModel
import WireProtocol

/// Groups whose commit was answered, so that asking again gives the same answer.
enum CommittedGroup {
  /// Newest groups remembered.
  static let kept = 4096

  static func find(_ database: Database, _ group: GroupID, cluster: String) throws -> CommitReply? {
    let row = try Row.fetchOne(
      database, sql: "SELECT * FROM committedGroup WHERE grp = ? AND cluster = ?", arguments: [group, cluster])
    guard let row else { return nil }
    var reader = ByteReader(Array(try row.value("points") as Data))
    var points: [PointID] = []
    while let point: PointID = try? reader.readIdentifier() { points.append(point) }
    return CommitReply(sealedAt: try row.value("sealedAt"), points: points)
  }

  static func insert(_ database: Database, _ group: GroupID, cluster: String, _ reply: CommitReply) throws {
    try database.execute(
      sql: "INSERT OR REPLACE INTO committedGroup (grp, cluster, sealedAt, points) VALUES (?,?,?,?)",
      arguments: [group, cluster, reply.sealedAt, Data(reply.points.flatMap(\.bytes))])
    try database.execute(
      sql:
        "DELETE FROM committedGroup WHERE grp NOT IN (SELECT grp FROM committedGroup ORDER BY rowid DESC LIMIT ?)",
      arguments: [kept])
  }
}
