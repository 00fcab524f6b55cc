import AgentService
import Foundation
import GRDB
import ReplModel

/// One ClusterPair object: its own mode and count to seven, and trust shared with others of the same peer.
struct PairRecord: Hashable, Sendable {
  var reference: ObjectReference
  var peer: String
  var host: String
  var port: UInt16
  var mode: PairMode
  /// SHA-256 of the token proved last: another token in the object is proved anew.
  var tokenHash: [UInt8]
}

extension PairRecord {
  init(row: Row) throws {
    reference = ObjectReference(
      kind: "ClusterPair", namespace: try row.value("namespace"), name: try row.value("name"), uid: try row.value("uid")
    )
    peer = try row.value("peer")
    host = try row.value("host")
    port = UInt16(clamping: try row.value("port") as Int64)
    mode = PairMode(rawValue: try row.value("mode")) ?? .default
    tokenHash = Array(try row.value("tokenHash") as Data)
  }

  func save(_ database: Database) throws {
    try database.execute(
      sql: "DELETE FROM pair WHERE namespace = ? AND name = ? AND uid <> ?",
      arguments: [reference.namespace, reference.name, reference.uid])
    try database.execute(
      sql: """
        INSERT INTO pair (uid, namespace, name, peer, host, port, mode, tokenHash) VALUES (?,?,?,?,?,?,?,?)
        ON CONFLICT (uid) DO UPDATE SET peer = excluded.peer, host = excluded.host, port = excluded.port,
          mode = excluded.mode, tokenHash = excluded.tokenHash
        """,
      arguments: [
        reference.uid, reference.namespace, reference.name, peer, host, Int64(port), mode.rawValue,
        Data(tokenHash),
      ])
  }

  static func all(_ database: Database) throws -> [PairRecord] {
    try Row.fetchAll(database, sql: "SELECT * FROM pair ORDER BY namespace, name").map(PairRecord.init(row:))
  }

  static func find(_ database: Database, namespace: String, name: String) throws -> PairRecord? {
    try Row.fetchOne(
      database, sql: "SELECT * FROM pair WHERE namespace = ? AND name = ?", arguments: [namespace, name]
    ).map(PairRecord.init(row:))
  }

  func delete(_ database: Database) throws {
    try database.execute(sql: "DELETE FROM pair WHERE uid = ?", arguments: [reference.uid])
  }
}
