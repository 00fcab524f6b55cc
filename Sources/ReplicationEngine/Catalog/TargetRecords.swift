import BlockDiff
import Foundation
import GRDB
import ReplModel
import WireProtocol

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

  /// Clusters that may have data in a pool: those paired, and those whose volumes lie there.
  static func clusters(_ database: Database, pool: String) throws -> Int {
    try Int.fetchOne(
      database,
      sql: "SELECT COUNT(*) FROM (SELECT cluster FROM peer UNION SELECT cluster FROM targetVolume WHERE pool = ?)",
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

/// A sealed recovery point.
struct CatalogPoint: Hashable, Sendable {
  var cluster: String
  var seal: Seal
  var pool: String
  /// By this agent's clock.
  var sealedAt: Timestamp
  /// When it was last read whole and found equal; nil when never.
  var provenAt: Timestamp?
  var state: PointState
  /// Whether the source has recorded the seal: until then the point before is kept.
  var confirmed: Bool
  /// Segments that were read and are not what was sealed, or cannot be read; at most ``PointSummary/damageLimit``.
  var damaged: [UInt64]
  /// Why its source doubts it although it is what was sealed; reading it does not clear that.
  var doubt: String?
  /// Segments that are damaged in another image of the volume: not trusted here until they were read here.
  var doubtful = SegmentSet()
  /// Why it is not trusted anywhere until it was read whole.
  var suspicion: String?
  /// How often the image was replaced by a repaired one: each time it is another image.
  var repairs = 0
  /// How often something was held against it: what is read clean settles only what was held before the reading.
  var findings = 0

  var point: PointID { seal.point }
  var volume: VolumeID { seal.volume }
}

extension CatalogPoint {
  init(row: Row) throws {
    cluster = try row.value("cluster")
    seal = try row.seal("seal")
    pool = try row.value("pool")
    sealedAt = try row.value("sealedAt")
    provenAt = try row.optional("provenAt")
    let stored: String = try row.value("state")
    state = PointState.allCases.first { $0.name == stored } ?? .suspect
    confirmed = try row.value("confirmed")
    damaged = (try row.optional("damaged") as Data?).map(SegmentList.decode) ?? []
    doubt = try row.optional("doubt")
    doubtful = try row.segments("doubtful")
    suspicion = try row.optional("suspicion")
    repairs = try row.value("repairs")
    findings = try row.value("findings")
  }

  /// A point that is there already stays as it is: what is known of it changes by the transitions of
  /// `PointTransitions.swift`, each of which writes the columns it owns.
  func insert(_ database: Database) throws {
    try database.execute(
      sql: """
        INSERT INTO point (cluster, volume, point, generation, pool, seal, sealedAt, provenAt, state, confirmed, damaged,
          doubt, doubtful, suspicion, repairs, findings) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
        ON CONFLICT (cluster, volume, point) DO NOTHING
        """,
      arguments: [
        cluster, volume, point, Int64(seal.generation), pool, Data(seal.encoded), sealedAt, provenAt, state.name,
        confirmed, damaged.isEmpty ? nil : SegmentList.encode(damaged), doubt, doubtful.column, suspicion, repairs,
        findings,
      ])
  }

  /// Newest first.
  ///
  /// - Parameter limit: newest that are read; nil for all.
  static func all(
    _ database: Database, cluster: String, volume: VolumeID, limit: Int? = nil
  ) throws -> [CatalogPoint] {
    try Row.fetchAll(
      database, sql: "SELECT * FROM point WHERE cluster = ? AND volume = ? ORDER BY generation DESC LIMIT ?",
      arguments: [cluster, volume, limit ?? -1]
    ).map(CatalogPoint.init(row:))
  }

  /// Points of a peer, or of all, in which damage was found that is not repaired.
  static func damaged(_ database: Database, cluster: String? = nil) throws -> [CatalogPoint] {
    try Row.fetchAll(database, sql: "SELECT * FROM point WHERE damaged IS NOT NULL").map(CatalogPoint.init(row:))
      .filter { cluster == nil || $0.cluster == cluster }
  }

  static func find(_ database: Database, cluster: String, volume: VolumeID, point: PointID) throws -> CatalogPoint? {
    try Row.fetchOne(
      database, sql: "SELECT * FROM point WHERE cluster = ? AND volume = ? AND point = ?",
      arguments: [cluster, volume, point]
    ).map(CatalogPoint.init(row:))
  }

  static func newestSealed(_ database: Database, cluster: String, volume: VolumeID) throws -> CatalogPoint? {
    try Row.fetchOne(
      database,
      sql: "SELECT * FROM point WHERE cluster = ? AND volume = ? AND state = ? ORDER BY generation DESC LIMIT 1",
      arguments: [cluster, volume, PointState.sealed.name]
    ).map(CatalogPoint.init(row:))
  }

  /// How many points of a volume are in a state.
  static func count(
    _ database: Database, _ state: PointState, cluster: String, volume: VolumeID
  ) throws -> Int {
    try Int.fetchOne(
      database, sql: "SELECT COUNT(*) FROM point WHERE cluster = ? AND volume = ? AND state = ?",
      arguments: [cluster, volume, state.name]) ?? 0
  }

  /// Points newer than the newest one that the source has confirmed.
  static func unconfirmed(_ database: Database, cluster: String, volume: VolumeID) throws -> Int {
    try Int.fetchOne(
      database,
      sql: """
        SELECT COUNT(*) FROM point WHERE cluster = ? AND volume = ? AND generation > COALESCE((SELECT MAX(generation)
          FROM point WHERE cluster = ? AND volume = ? AND confirmed), -1)
        """, arguments: [cluster, volume, cluster, volume]) ?? 0
  }

  /// Notes that the source has recorded the seal; returns the volume, nil for an unknown point.
  static func confirm(_ database: Database, cluster: String, point: PointID) throws -> VolumeID? {
    try database.execute(
      sql: "UPDATE point SET confirmed = 1 WHERE cluster = ? AND point = ?", arguments: [cluster, point])
    return try VolumeID.fetchOne(
      database, sql: "SELECT volume FROM point WHERE cluster = ? AND point = ?", arguments: [cluster, point])
  }

  /// False for a point that stays: of a volume that has been promoted meanwhile none goes, nor one whose state is another
  /// by now.
  func delete(_ database: Database) throws -> Bool {
    try database.execute(
      sql: """
        DELETE FROM point WHERE cluster = ? AND volume = ? AND point = ? AND state = ? AND NOT EXISTS (
          SELECT 1 FROM promotion WHERE promotion.cluster = point.cluster AND promotion.volume = point.volume)
          AND NOT EXISTS (SELECT 1 FROM targetVolume WHERE targetVolume.cluster = point.cluster
            AND targetVolume.volume = point.volume AND targetVolume.role = ?)
        """, arguments: [cluster, volume, point, state.name, VolumeRole.promoted.rawValue])
    return database.changesCount > 0
  }
}

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

  static func all(_ database: Database) throws -> [PreparedRecord] {
    try Row.fetchAll(database, sql: "SELECT * FROM prepared ORDER BY grp, volume").map(PreparedRecord.init(row:))
  }

  static func group(_ database: Database, _ group: GroupID, cluster: String) throws -> [PreparedRecord] {
    try Row.fetchAll(
      database, sql: "SELECT * FROM prepared WHERE grp = ? AND cluster = ? ORDER BY volume",
      arguments: [group, cluster]
    ).map(PreparedRecord.init(row:))
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

extension SegmentSet {
  /// As a column: nil for none.
  var column: Data? { isEmpty ? nil : Data(encoded) }
}

extension Row {
  /// A column of segments. One that cannot be read stands for all segments: nothing is trusted for its loss.
  func segments(_ column: String) throws -> SegmentSet {
    let value: DatabaseValue = self[column]
    if value.isNull { return SegmentSet() }
    let segments = Data.fromDatabaseValue(value).flatMap { SegmentSet(encoded: Array($0)) }
    return segments ?? SegmentSet(allOf: UInt64(Int64.max))
  }
}

/// Segment numbers as a blob of little-endian 64-bit words.
enum SegmentList {
  static func encode(_ segments: [UInt64]) -> Data {
    var writer = ByteWriter()
    for segment in segments { writer.write(segment) }
    return Data(writer.bytes)
  }

  static func decode(_ data: Data) -> [UInt64] {
    var reader = ByteReader(Array(data))
    var segments: [UInt64] = []
    while let segment: UInt64 = try? reader.read() { segments.append(segment) }
    return segments
  }
}
