import BlockDiff
import Foundation
import GRDB
import ReplModel

/// A volume as this site knows it, whoever writes it: its name, its authority record and where its images lie.
struct Replica: Hashable, Sendable {
  /// Cluster in which the volume began its life.
  var cluster: String
  var volume: VolumeID
  var namespace: String
  var name: String
  var authority: Authority
  /// Name of the pool that holds its images; empty for the state directory: a digest source has only their sums.
  var pool: String
  /// When the source was found to have the volume no more; nil while it has it.
  var deletedAt: Timestamp?
  /// Seconds it has been an orphan while this agent ran, by a clock that never steps.
  var orphanedSeconds = 0.0

  var label: String { "volume \(namespace)/\(name) of \(cluster)" }
  var role: VolumeRole { authority.role }
  var branch: Branch { authority.branch }
}

extension Replica {
  init(row: Row) throws {
    cluster = try row.value("cluster")
    volume = try row.value("volume")
    namespace = try row.value("namespace")
    name = try row.value("name")
    let role: String = try row.value("role")
    authority = Authority(
      lineage: try row.value("lineage"),
      branch: Branch(epoch: try row.count("branchEpoch"), id: try row.value("branchID")),
      ancestors: try row.ancestors("ancestors"), role: try VolumeRole.stored(role))
    pool = try row.value("pool")
    deletedAt = try row.optional("deletedAt")
    orphanedSeconds = try row.value("orphanedSeconds")
  }

  /// Inserts; one that is there already stays as it is.
  func insert(_ database: Database) throws {
    try database.execute(
      sql: """
        INSERT INTO replica (cluster, volume, namespace, name, lineage, branchEpoch, branchID, ancestors, role, pool)
        VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (cluster, volume) DO NOTHING
        """,
      arguments: [
        cluster, volume, namespace, name, authority.lineage, Int64(clamping: authority.branch.epoch),
        authority.branch.id, try AncestorList.column(authority.ancestors), authority.role.rawValue, pool,
      ])
  }

  /// Brings namespace and name up to date and touches nothing else.
  func setName(_ database: Database) throws {
    try database.execute(
      sql: "UPDATE replica SET namespace = ?, name = ? WHERE cluster = ? AND volume = ?",
      arguments: [namespace, name, cluster, volume])
  }

  /// Replaces the authority record of one that is known.
  static func setAuthority(_ database: Database, _ source: SourceVolume, _ authority: Authority) throws {
    try database.execute(
      sql: """
        UPDATE replica SET branchEpoch = ?, branchID = ?, ancestors = ?, role = ? WHERE cluster = ? AND volume = ?
        """,
      arguments: [
        Int64(clamping: authority.branch.epoch), authority.branch.id, try AncestorList.column(authority.ancestors),
        authority.role.rawValue, source.cluster, source.volume,
      ])
  }

  /// Those whose points are held here, by name; of several of one name the newest comes last.
  static func held(_ database: Database) throws -> [Replica] {
    try Row.fetchAll(
      database, sql: "SELECT * FROM replica WHERE role <> 'source' ORDER BY namespace, name, cluster, rowid"
    ).map(Replica.init(row:))
  }

  /// Those of one name whose points are held here, of whatever cluster; the newest comes last.
  static func held(_ database: Database, namespace: String, name: String) throws -> [Replica] {
    try Row.fetchAll(
      database,
      sql: "SELECT * FROM replica WHERE namespace = ? AND name = ? AND role <> 'source' ORDER BY cluster, rowid",
      arguments: [namespace, name]
    ).map(Replica.init(row:))
  }

  func delete(_ database: Database) throws {
    try database.execute(
      sql: "DELETE FROM replica WHERE cluster = ? AND volume = ?", arguments: [cluster, volume])
    try ScrubPass.delete(database, .target, volume: volume, cluster: cluster)
  }

  /// Whether volumes that production writes lie in a pool: own ones, or promoted ones.
  static func isLive(pool: String, _ database: Database) throws -> Bool {
    try Bool.fetchOne(
      database,
      sql: "SELECT EXISTS (SELECT 1 FROM replica WHERE pool = ? AND role IN ('source', 'promoted'))",
      arguments: [pool]) ?? true
  }

  /// Those of a peer in a pool.
  static func held(_ database: Database, cluster: String, pool: String) throws -> [Replica] {
    try Row.fetchAll(
      database, sql: "SELECT * FROM replica WHERE cluster = ? AND pool = ? AND role <> 'source'",
      arguments: [cluster, pool]
    ).map(Replica.init(row:))
  }

  /// Clusters that may have data in a pool: those trusted, and those whose volumes lie there.
  static func clusters(_ database: Database, pool: String) throws -> Int {
    try Int.fetchOne(
      database,
      sql: """
        SELECT COUNT(*) FROM (SELECT cluster FROM peer WHERE trustSeconds IS NULL OR trustSeconds > 0
          UNION SELECT cluster FROM replica WHERE pool = ? AND role <> 'source')
        """,
      arguments: [pool]) ?? 0
  }

  /// Volumes held for a peer.
  static func count(_ database: Database, cluster: String) throws -> Int {
    try Int.fetchOne(
      database, sql: "SELECT COUNT(*) FROM replica WHERE cluster = ? AND role <> 'source'", arguments: [cluster]) ?? 0
  }

  static func find(_ database: Database, cluster: String, volume: VolumeID) throws -> Replica? {
    try Row.fetchOne(
      database, sql: "SELECT * FROM replica WHERE cluster = ? AND volume = ?", arguments: [cluster, volume]
    ).map(Replica.init(row:))
  }
}

extension Replica {
  /// The volume is gone at its source: its points stay, and age out from now on.
  static func orphan(_ database: Database, cluster: String, volume: VolumeID, at now: Timestamp) throws {
    try database.execute(
      sql: "UPDATE replica SET deletedAt = COALESCE(deletedAt, ?) WHERE cluster = ? AND volume = ?",
      arguments: [now, cluster, volume])
    try database.execute(
      sql: "UPDATE point SET state = 'orphaned' WHERE cluster = ? AND volume = ? AND state = 'sealed'",
      arguments: [cluster, volume])
  }

  /// Counts time that has passed for an orphan.
  static func ageOrphan(_ database: Database, cluster: String, volume: VolumeID, seconds: Double) throws {
    try database.execute(
      sql: "UPDATE replica SET orphanedSeconds = orphanedSeconds + ? WHERE cluster = ? AND volume = ?",
      arguments: [seconds, cluster, volume])
  }

  /// The source has the volume after all, from a copy of its records: its points are what they were.
  static func adopt(_ database: Database, cluster: String, volume: VolumeID) throws {
    try database.execute(
      sql: "UPDATE replica SET deletedAt = NULL, orphanedSeconds = 0 WHERE cluster = ? AND volume = ?",
      arguments: [cluster, volume])
    try database.execute(
      sql: "UPDATE point SET state = 'sealed' WHERE cluster = ? AND volume = ? AND state = 'orphaned'",
      arguments: [cluster, volume])
    try CatalogPoint.settleState(database, cluster, volume)
  }
}

extension VolumeRole {
  /// - Throws: `.damaged` for a role that there is none of.
  fileprivate static func stored(_ name: String) throws -> VolumeRole {
    guard let role = VolumeRole(rawValue: name) else {
      throw ReplError(.damaged, subject: "agent database", cause: "there is no role \(name)")
    }
    return role
  }
}

/// The ancestors of a branch as a column: JSON, oldest first; NULL for none.
enum AncestorList {
  private struct Entry: Codable {
    var epoch: UInt64
    var branch: BranchID
    var point: PointID
  }

  static func column(_ ancestors: [BranchPoint]) throws -> String? {
    guard !ancestors.isEmpty else { return nil }
    let entries = ancestors.map { Entry(epoch: $0.branch.epoch, branch: $0.branch.id, point: $0.point) }
    return String(decoding: try JSONEncoder().encode(entries), as: UTF8.self)
  }

  fileprivate static func read(_ text: String) throws -> [BranchPoint] {
    do {
      return try JSONDecoder().decode([Entry].self, from: Data(text.utf8)).map {
        BranchPoint(branch: Branch(epoch: $0.epoch, id: $0.branch), point: $0.point)
      }
    } catch {
      throw ReplError(.damaged, subject: "agent database", cause: "column ancestors holds an unreadable value")
    }
  }
}

extension Row {
  fileprivate func ancestors(_ column: String) throws -> [BranchPoint] {
    try (optional(column) as String?).map(AncestorList.read) ?? []
  }
}
