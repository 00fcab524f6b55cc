import Foundation
import GRDB
import ReplModel

/// A cluster we trust, with the CA pinned for it.
struct PeerRecord: Hashable, Sendable {
  var cluster: String
  var node: String
  /// The peer's CA, DER.
  var authority: [UInt8]
  var host: String
  var port: UInt16
  /// When trust ends because the last pair is gone; nil while there is one on either side.
  var expiresAt: Timestamp?
  /// Whether it has proved a token of ours and not taken its pair back since: it may be our source.
  var invited = false
}

extension PeerRecord {
  init(row: Row) throws {
    cluster = try row.value("cluster")
    node = try row.value("node")
    authority = Array(try row.value("authority") as Data)
    host = try row.value("host")
    port = UInt16(clamping: try row.value("port") as Int64)
    expiresAt = try row.optional("expiresAt")
    invited = try row.value("invited")
  }

  /// Inserts, or replaces what was known of the cluster.
  func save(_ database: Database) throws {
    try database.execute(
      sql: """
        INSERT INTO peer (cluster, node, authority, host, port, expiresAt, invited) VALUES (?,?,?,?,?,?,?)
        ON CONFLICT (cluster) DO UPDATE SET node = excluded.node, authority = excluded.authority,
          host = CASE excluded.host WHEN '' THEN host ELSE excluded.host END, port = excluded.port,
          expiresAt = excluded.expiresAt, invited = MAX(invited, excluded.invited)
        """, arguments: [cluster, node, Data(authority), host, Int64(port), expiresAt, invited])
  }

  static func all(_ database: Database) throws -> [PeerRecord] {
    try Row.fetchAll(database, sql: "SELECT * FROM peer ORDER BY cluster").map(PeerRecord.init(row:))
  }

  /// Sets when trust in a cluster ends, and whether it is still invited.
  static func setTrust(_ database: Database, _ cluster: String, expiresAt: Timestamp?, invited: Bool) throws {
    try database.execute(
      sql: "UPDATE peer SET expiresAt = ?, invited = ? WHERE cluster = ?", arguments: [expiresAt, invited, cluster])
  }

  static func find(_ database: Database, _ cluster: String) throws -> PeerRecord? {
    try Row.fetchOne(database, sql: "SELECT * FROM peer WHERE cluster = ?", arguments: [cluster])
      .map(PeerRecord.init(row:))
  }
}

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
}
