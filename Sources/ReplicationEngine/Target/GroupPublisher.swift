import BlockDiff
import Foundation
import GRDB
import ReplModel
import WireProtocol

/// Makes the members of a prepared group points, all or none.
struct GroupPublisher: Sendable {
  let context: TargetContext

  /// Publishes a group whose members are all prepared. Files first, then one transaction: until that commits, none of
  /// them is a point, and start-up does the same again.
  func publish(_ group: GroupID, _ prepared: [PreparedRecord]) throws(ReplError) -> CommitReply {
    try requireWhole(group, prepared)
    for member in prepared {
      try context.store(pool: member.pool).publish(member.seal.point, of: try member.source())
    }
    let now = context.clock.now()
    let reply = CommitReply(sealedAt: now, points: prepared.map(\.seal.point))
    guard let cluster = prepared.first?.cluster else { return reply }
    try context.database.write { database in
      for member in prepared {
        try Self.point(of: member, sealedAt: now, database).insert(database)
        try member.delete(database)
      }
      try CommittedGroup.insert(database, group, cluster: cluster, reply)
    }
    return reply
  }

  /// A delta is as good as its base: on one that has become suspect since, the point is suspect too until it is read.
  private static func point(of member: PreparedRecord, sealedAt now: Timestamp, _ database: Database) throws
    -> CatalogPoint
  {
    var point = CatalogPoint(
      cluster: member.cluster, seal: member.seal, pool: member.pool, sealedAt: now,
      provenAt: member.seal.proof == .full ? now : nil, state: .sealed, confirmed: false, damaged: [])
    guard member.seal.proof == .delta, let id = member.seal.base,
      let base = try CatalogPoint.find(database, cluster: member.cluster, volume: member.seal.volume, point: id),
      base.state == .suspect
    else { return point }
    (point.state, point.doubt) = (.suspect, base.doubt)
    return point
  }

  private func requireWhole(_ group: GroupID, _ prepared: [PreparedRecord]) throws(ReplError) {
    guard let first = prepared.first else {
      throw ReplError(
        .refused, subject: "group \(group)", cause: "has no prepared member here", remedy: "begin its sessions again")
    }
    let present = Set(prepared.map(\.seal.volume))
    let missing = first.seal.members.filter { $0.missingReason == nil && !present.contains($0.volume) }
    guard missing.isEmpty, prepared.allSatisfy({ $0.seal.members == first.seal.members }) else {
      throw ReplError(
        .refused, subject: "group \(group)",
        cause: "is not whole: \(missing.map(\.volume.description).joined(separator: ", ")) not prepared",
        remedy: "begin the sessions of the missing members again")
    }
  }

  /// Whether every member the manifest names is prepared.
  static func isWhole(_ prepared: [PreparedRecord]) -> Bool {
    guard let first = prepared.first else { return false }
    let present = Set(prepared.map(\.seal.volume))
    return first.seal.members.allSatisfy { $0.missingReason != nil || present.contains($0.volume) }
      && prepared.allSatisfy { $0.seal.members == first.seal.members }
  }
}

extension PreparedRecord {
  func source() throws(ReplError) -> SourceVolume { try SourceVolume(cluster: cluster, volume: seal.volume) }
}

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
