import Foundation
import GRDB
import ReplModel

/// A snapshot of an own volume, taken for one peer; the twin of the recovery point with the same id.
struct SnapshotRecord: Hashable, Sendable {
  enum State: String, Sendable {
    /// Durable, not sealed at the peer yet.
    case taken
    /// A commit was sent and its outcome is not known.
    case inDoubt
    /// The peer holds the sealed point, and we recorded it.
    case sealed
  }

  var point: PointID
  var volume: VolumeID
  /// Cluster id of the peer it is for.
  var peer: String
  var generation: UInt64
  /// Bytes.
  var size: UInt64
  var takenAt: Timestamp
  var consistency: Consistency
  var stallNanoseconds: Int64
  /// Directory that holds `image` and `segments`.
  var directory: String
  /// False when only the sums are left, or when the source has no snapshots (digest).
  var hasImage: Bool
  var state: State
  /// What its bytes add up to: known once all of them were read, and durable before it is sent.
  var seal: Seal?

  var imagePath: String { directory + "/image" }
  var segmentsPath: String { directory + "/segments" }
  var planPath: String { directory + "/plan" }
}

extension SnapshotRecord {
  init(row: Row) throws {
    point = try row.value("point")
    volume = try row.value("volume")
    peer = try row.value("peer")
    generation = try row.count("generation")
    size = try row.count("size")
    takenAt = try row.value("takenAt")
    consistency = Consistency(rawValue: UInt8(clamping: try row.value("consistency") as Int64)) ?? .fuzzy
    stallNanoseconds = try row.value("stallNanoseconds")
    directory = try row.value("directory")
    hasImage = try row.value("hasImage")
    state = State(rawValue: try row.value("state")) ?? .taken
    seal = (row["seal"] as DatabaseValue).isNull ? nil : try row.seal("seal")
  }

  func insert(_ database: Database) throws {
    try database.execute(
      sql: """
        INSERT INTO snapshot (point, volume, peer, generation, size, takenAt, consistency, stallNanoseconds, directory,
          hasImage, state, seal) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)
        """,
      arguments: [
        point, volume, peer, Int64(generation), Int64(size), takenAt, Int(consistency.rawValue), stallNanoseconds,
        directory, hasImage, state.rawValue, seal.map { Data($0.encoded) },
      ])
  }

  /// Newest first.
  static func all(_ database: Database, volume: VolumeID, peer: String? = nil) throws -> [SnapshotRecord] {
    let all = try Row.fetchAll(
      database, sql: "SELECT * FROM snapshot WHERE volume = ? ORDER BY generation DESC", arguments: [volume]
    ).map(SnapshotRecord.init(row:))
    return all.filter { peer == nil || $0.peer == peer }
  }

  /// By peer: when the newest snapshot that is sealed there was taken.
  static func newestSealed(_ database: Database, volume: VolumeID) throws -> [String: Timestamp] {
    let rows = try Row.fetchAll(
      database,
      sql: """
        SELECT peer, takenAt, MAX(generation) FROM snapshot WHERE volume = ? AND state = 'sealed' GROUP BY peer
        """, arguments: [volume])
    return try Dictionary(
      rows.map { (try $0.value("peer"), try $0.value("takenAt")) }, uniquingKeysWith: { first, _ in first })
  }

  static func find(_ database: Database, _ point: PointID) throws -> SnapshotRecord? {
    try Row.fetchOne(database, sql: "SELECT * FROM snapshot WHERE point = ?", arguments: [point])
      .map(SnapshotRecord.init(row:))
  }

  static func setState(_ database: Database, _ point: PointID, _ state: State, seal: Seal?) throws {
    try database.execute(
      sql: "UPDATE snapshot SET state = ?, seal = COALESCE(?, seal) WHERE point = ?",
      arguments: [state.rawValue, seal.map { Data($0.encoded) }, point])
  }

  /// Keeps what its bytes add up to; the state stays.
  static func setSeal(_ database: Database, _ point: PointID, _ seal: Seal) throws {
    try database.execute(
      sql: "UPDATE snapshot SET seal = ? WHERE point = ?", arguments: [Data(seal.encoded), point])
  }

  /// Only its sums are left; false when that is recorded already, or the record is gone.
  static func loseImage(_ database: Database, _ point: PointID) throws -> Bool {
    try database.execute(
      sql: "UPDATE snapshot SET hasImage = 0 WHERE point = ? AND hasImage = 1", arguments: [point])
    return database.changesCount > 0
  }

  static func setScrubbed(_ database: Database, _ point: PointID, _ now: Timestamp) throws {
    try database.execute(sql: "UPDATE snapshot SET scrubbedAt = ? WHERE point = ?", arguments: [now, point])
  }

  /// False when it is no longer one that was never sent.
  static func deleteUnsent(_ database: Database, _ point: PointID) throws -> Bool {
    try database.execute(sql: "DELETE FROM snapshot WHERE point = ? AND state = 'taken'", arguments: [point])
    return database.changesCount > 0
  }

  static func delete(_ database: Database, _ point: PointID) throws {
    try database.execute(sql: "DELETE FROM snapshot WHERE point = ?", arguments: [point])
  }
}
