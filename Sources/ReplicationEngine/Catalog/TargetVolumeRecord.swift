import BlockDiff
import GRDB
import ReplModel

/// A volume of another cluster that this agent holds points of: its authority record in that direction.
struct TargetVolumeRecord: Hashable, Sendable {
  var cluster: String
  var volume: VolumeID
  var namespace: String
  var name: String
  var lineage: LineageID
  var branch: Branch
  var role: VolumeRole
  /// Name of the pool that holds its points.
  var pool: String
  /// When the source was found to have the volume no more; nil while it has it.
  var deletedAt: Timestamp?
  /// Seconds it has been an orphan while this agent ran, by a clock that never steps.
  var orphanedSeconds = 0.0

  var label: String { "volume \(namespace)/\(name) of \(cluster)" }
}

extension TargetVolumeRecord {
  init(row: Row) throws {
    cluster = try row.value("cluster")
    volume = try row.value("volume")
    namespace = try row.value("namespace")
    name = try row.value("name")
    lineage = try row.value("lineage")
    branch = Branch(epoch: try row.count("branchEpoch"), id: try row.value("branchID"))
    role = VolumeRole(rawValue: try row.value("role")) ?? .target
    pool = try row.value("pool")
    deletedAt = try row.optional("deletedAt")
    orphanedSeconds = try row.value("orphanedSeconds")
  }

  /// Inserts, or brings names and branch up to date. The role of a volume that is known changes by promotion only.
  func save(_ database: Database) throws {
    try database.execute(
      sql: """
        INSERT INTO targetVolume (cluster, volume, namespace, name, lineage, branchEpoch, branchID, role, pool)
        VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (cluster, volume) DO UPDATE SET namespace = excluded.namespace,
          name = excluded.name, branchEpoch = excluded.branchEpoch, branchID = excluded.branchID
        """,
      arguments: [
        cluster, volume, namespace, name, lineage, Int64(branch.epoch), branch.id, role.rawValue, pool,
      ])
  }

  /// Brings namespace and name up to date and touches nothing else.
  func setName(_ database: Database) throws {
    try database.execute(
      sql: "UPDATE targetVolume SET namespace = ?, name = ? WHERE cluster = ? AND volume = ?",
      arguments: [namespace, name, cluster, volume])
  }

  static func setRole(_ database: Database, _ source: SourceVolume, _ role: VolumeRole) throws {
    try database.execute(
      sql: "UPDATE targetVolume SET role = ? WHERE cluster = ? AND volume = ?",
      arguments: [role.rawValue, source.cluster, source.volume])
  }

  /// By name; of several of one name the newest comes last.
  static func all(_ database: Database) throws -> [TargetVolumeRecord] {
    try Row.fetchAll(database, sql: "SELECT * FROM targetVolume ORDER BY namespace, name, cluster, rowid")
      .map(TargetVolumeRecord.init(row:))
  }

  /// Those of one name, of whatever cluster; the newest comes last.
  static func named(_ database: Database, namespace: String, name: String) throws -> [TargetVolumeRecord] {
    try Row.fetchAll(
      database, sql: "SELECT * FROM targetVolume WHERE namespace = ? AND name = ? ORDER BY cluster, rowid",
      arguments: [namespace, name]
    ).map(TargetVolumeRecord.init(row:))
  }

  func delete(_ database: Database) throws {
    try database.execute(
      sql: "DELETE FROM targetVolume WHERE cluster = ? AND volume = ?", arguments: [cluster, volume])
    try ScrubPass.delete(database, .target, volume: volume, cluster: cluster)
  }

  /// Whether volumes that production writes lie in a pool: own ones, or promoted ones.
  static func isLive(pool: String, _ database: Database) throws -> Bool {
    try Bool.fetchOne(
      database,
      sql:
        "SELECT EXISTS (SELECT 1 FROM volume WHERE pool = ?) OR EXISTS (SELECT 1 FROM targetVolume WHERE pool = ? AND role = ?)",
      arguments: [pool, pool, VolumeRole.promoted.rawValue]) ?? true
  }

  /// Those of a peer in a pool.
  static func all(_ database: Database, cluster: String, pool: String) throws -> [TargetVolumeRecord] {
    try Row.fetchAll(
      database, sql: "SELECT * FROM targetVolume WHERE cluster = ? AND pool = ?", arguments: [cluster, pool]
    ).map(TargetVolumeRecord.init(row:))
  }

  /// Clusters that may have data in a pool: those trusted, and those whose volumes lie there.
  static func clusters(_ database: Database, pool: String) throws -> Int {
    try Int.fetchOne(
      database,
      sql: """
        SELECT COUNT(*) FROM (SELECT cluster FROM peer WHERE trustSeconds IS NULL OR trustSeconds > 0
          UNION SELECT cluster FROM targetVolume WHERE pool = ?)
        """,
      arguments: [pool]) ?? 0
  }

  /// Volumes held for a peer.
  static func count(_ database: Database, cluster: String) throws -> Int {
    try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM targetVolume WHERE cluster = ?", arguments: [cluster]) ?? 0
  }

  static func find(_ database: Database, cluster: String, volume: VolumeID) throws -> TargetVolumeRecord? {
    try Row.fetchOne(
      database, sql: "SELECT * FROM targetVolume WHERE cluster = ? AND volume = ?", arguments: [cluster, volume]
    ).map(TargetVolumeRecord.init(row:))
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
