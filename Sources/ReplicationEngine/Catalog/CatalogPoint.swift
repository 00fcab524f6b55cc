import BlockDiff
import Foundation
import GRDB
import ReplModel
import WireProtocol

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

  /// Hands over the newest sealed point of each volume. No other one is decoded, and they come one at a time: a seal names
  /// all members of its group.
  static func eachNewestSealed(_ database: Database, _ body: (CatalogPoint) throws -> Void) throws {
    let rows = try Row.fetchCursor(
      database,
      sql: """
        SELECT p.* FROM point p JOIN (
          SELECT cluster, volume, MAX(generation) AS generation FROM point WHERE state = 'sealed'
          GROUP BY cluster, volume) n
        ON p.cluster = n.cluster AND p.volume = n.volume AND p.generation = n.generation AND p.state = 'sealed'
        """)
    while let row = try rows.next() { try body(try CatalogPoint(row: row)) }
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
          AND NOT EXISTS (SELECT 1 FROM replica WHERE replica.cluster = point.cluster AND replica.volume = point.volume
            AND replica.role = ?)
        """, arguments: [cluster, volume, point, state.name, VolumeRole.promoted.rawValue])
    return database.changesCount > 0
  }
}
