import BlockDiff
import Foundation
import GRDB
import ReplModel
import WireProtocol

/// A volume that is written here: the replica, its live file or device, and what its snapshots need.
struct VolumeRecord: Hashable, Sendable {
  var replica: Replica
  /// The live file or device as it was named: symbolic links are followed anew at each use.
  var path: String
  var isDevice: Bool
  /// Bytes at the last look.
  var size: UInt64
  var allowFuzzy: Bool
  /// Generation the next snapshot gets.
  var nextGeneration: UInt64
  /// Why the change source is not trusted until a whole scrub is clean; nil when it is.
  var distrustReason: String?
  /// Why the next session must copy everything; nil when it need not.
  var fullReason: String?
  /// What the file or device is recognised by; nil for a volume taken in before version 4 and not used since.
  var identity: DurableIdentity?

  var id: VolumeID { replica.volume }
  var namespace: String { replica.namespace }
  var name: String { replica.name }
  /// Name of the pool that holds its snapshots; nil for the digest source.
  var pool: String? { replica.pool.isEmpty ? nil : replica.pool }
  var lineage: LineageID { replica.authority.lineage }
  var branch: Branch { replica.branch }
  var role: VolumeRole { replica.role }
  var label: String { "volume \(namespace)/\(name)" }
}

extension VolumeRecord {
  init(row: Row) throws {
    replica = try Replica(row: row)
    path = try row.value("path")
    isDevice = try row.value("isDevice")
    size = try row.count("size")
    allowFuzzy = try row.value("allowFuzzy")
    nextGeneration = try row.count("nextGeneration")
    distrustReason = try row.optional("distrustReason")
    fullReason = try row.optional("fullReason")
    identity = (try row.optional("identity") as Data?).flatMap {
      try? JSONDecoder().decode(DurableIdentity.self, from: $0)
    }
  }

  func insert(_ database: Database) throws {
    try replica.insert(database)
    try database.execute(
      sql: """
        INSERT INTO liveVolume (cluster, volume, path, isDevice, size, allowFuzzy, nextGeneration, distrustReason,
          fullReason, identity)
        VALUES (?,?,?,?,?,?,?,?,?,?)
        """,
      arguments: [
        replica.cluster, id, path, isDevice, Int64(size), allowFuzzy, Int64(nextGeneration), distrustReason, fullReason,
        try identity.map(Self.stored),
      ])
  }

  /// Sets what the volume is recognised by from now on.
  static func setIdentity(_ database: Database, _ id: VolumeID, _ identity: DurableIdentity) throws {
    try database.execute(
      sql: "UPDATE liveVolume SET identity = ? WHERE volume = ?", arguments: [try stored(identity), id])
  }

  private static func stored(_ identity: DurableIdentity) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return try encoder.encode(identity)
  }

  /// The volume's change source is not trusted until a whole scrub of a twin for this peer is clean.
  static func distrust(_ database: Database, _ id: VolumeID, peer: String, because reason: String) throws {
    try database.execute(
      sql: """
        INSERT INTO distrust (volume, peer, reason, findings) VALUES (?,?,?,1)
        ON CONFLICT (volume, peer) DO UPDATE SET reason = excluded.reason, findings = findings + 1
        """, arguments: [id, peer, reason])
    try settleDistrust(database, id)
  }

  /// How often something was found in twins for a peer, for ``trust(_:_:peer:seen:)``.
  static func findings(_ database: Database, _ id: VolumeID, peer: String) throws -> Int {
    try Int.fetchOne(
      database, sql: "SELECT findings FROM distrust WHERE volume = ? AND peer = ?", arguments: [id, peer]) ?? 0
  }

  /// A whole scrub of a twin for this peer was clean. What was found meanwhile stays, and what was found for other peers
  /// as long as they have a twin that can be scrubbed.
  ///
  /// - Parameter seen: ``findings(_:_:peer:)`` before the scrub.
  static func trust(_ database: Database, _ id: VolumeID, peer: String, seen: Int) throws {
    try database.execute(
      sql: """
        DELETE FROM distrust WHERE volume = :id AND ((peer = :peer AND findings = :seen) OR (peer <> :peer AND NOT EXISTS (
          SELECT 1 FROM snapshot WHERE snapshot.volume = :id AND snapshot.peer = distrust.peer AND state = 'sealed'
            AND hasImage = 1)))
        """, arguments: ["id": id, "peer": peer, "seen": seen])
    try settleDistrust(database, id)
  }

  private static func settleDistrust(_ database: Database, _ id: VolumeID) throws {
    try database.execute(
      sql: """
        UPDATE liveVolume SET distrustReason = (SELECT reason FROM distrust WHERE volume = :id ORDER BY peer LIMIT 1)
        WHERE volume = :id
        """, arguments: ["id": id])
  }

  /// Sets why the volume's next session copies everything; nil when it need not.
  static func setFullReason(_ database: Database, _ id: VolumeID, _ reason: String?) throws {
    try database.execute(sql: "UPDATE liveVolume SET fullReason = ? WHERE volume = ?", arguments: [reason, id])
  }

  /// Takes the generation of the volume's next snapshot: nobody gets it again.
  static func countGeneration(_ database: Database, _ volume: VolumeRecord) throws -> UInt64 {
    let next = try Int64.fetchOne(
      database,
      sql: "UPDATE liveVolume SET nextGeneration = nextGeneration + 1 WHERE volume = ? RETURNING nextGeneration - 1",
      arguments: [volume.id])
    guard let next else { throw ReplError(.notFound, subject: volume.label, cause: "was taken out of the agent") }
    guard next < Int64(WireLimits.counter) else {
      throw ReplError(
        .refused, subject: volume.label, cause: "has no generation left for another snapshot",
        remedy: "take it out of the agent and import it anew: a new volume counts from 1")
    }
    return UInt64(clamping: next)
  }

  private static let select = "SELECT * FROM liveVolume JOIN replica USING (cluster, volume)"

  static func all(_ database: Database) throws -> [VolumeRecord] {
    try Row.fetchAll(database, sql: select + " ORDER BY namespace, name").map(VolumeRecord.init(row:))
  }

  static func find(_ database: Database, _ id: VolumeID) throws -> VolumeRecord? {
    try Row.fetchOne(database, sql: select + " WHERE volume = ?", arguments: [id]).map(VolumeRecord.init(row:))
  }

  static func find(_ database: Database, namespace: String, name: String) throws -> VolumeRecord? {
    try Row.fetchOne(
      database, sql: select + " WHERE namespace = ? AND name = ?", arguments: [namespace, name]
    ).map(VolumeRecord.init(row:))
  }
}

extension Row {
  /// A column that must hold a value of the type; anything else is damage, said so. GRDB's own subscript would trap.
  func value<Value: DatabaseValueConvertible>(_ column: String) throws -> Value {
    guard let value = Value.fromDatabaseValue(self[column]) else {
      throw ReplError(.damaged, subject: "agent database", cause: "column \(column) holds an unreadable value")
    }
    return value
  }

  /// As ``value(_:)``, nil for NULL.
  func optional<Value: DatabaseValueConvertible>(_ column: String) throws -> Value? {
    (self[column] as DatabaseValue).isNull ? nil : try value(column)
  }

  /// A count that lies between 0 and what the columns of this database hold.
  func count(_ column: String) throws -> UInt64 { UInt64(clamping: try value(column) as Int64) }
}

extension VolumeRecord {
  /// Generations up to `newest` were used by somebody: the next snapshot comes after them.
  static func skipGenerations(_ database: Database, _ id: VolumeID, upTo newest: UInt64) throws {
    try database.execute(
      sql: "UPDATE liveVolume SET nextGeneration = ? WHERE volume = ? AND nextGeneration <= ?",
      arguments: [Int64(clamping: newest + 1), id, Int64(clamping: newest)])
  }

  /// Its size, in bytes, when it was last snapshotted.
  static func setSize(_ database: Database, _ id: VolumeID, _ size: UInt64) throws {
    try database.execute(
      sql: "UPDATE liveVolume SET size = ? WHERE volume = ?", arguments: [Int64(clamping: size), id])
  }

  /// The volume and what is known of its scrubs; its snapshots are deleted apart.
  static func delete(_ database: Database, _ id: VolumeID) throws {
    try database.execute(
      sql: "DELETE FROM replica WHERE (cluster, volume) IN (SELECT cluster, volume FROM liveVolume WHERE volume = ?)",
      arguments: [id])
    try database.execute(sql: "DELETE FROM liveVolume WHERE volume = ?", arguments: [id])
    try database.execute(sql: "DELETE FROM cleanScrub WHERE volume = ?", arguments: [id])
    try database.execute(sql: "DELETE FROM distrust WHERE volume = ?", arguments: [id])
    try ScrubPass.delete(database, .source, volume: id)
  }
}
