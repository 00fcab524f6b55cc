import Foundation
import GRDB
import ReplModel
import WireProtocol

/// A pairing token as the database keeps it. One whose time is over is removed: it cannot come back with the clock.
struct TokenRecord: Hashable, Sendable {
  var secret: [UInt8]
  var createdAt: Timestamp
  /// Seconds it is good for, counted while the agent runs.
  var secondsLeft: Double
  /// The only cluster that may use it; nil: any.
  var boundCluster: String?
  /// SubjectPublicKeyInfo (DER) and cluster of the client it belongs to since its first proof.
  var ownerKey: [UInt8]?
  var ownerCluster: String?
}

extension TokenRecord {
  init(row: Row) throws {
    secret = Array(try row.value("secret") as Data)
    createdAt = try row.value("createdAt")
    secondsLeft = try row.value("secondsLeft")
    boundCluster = try row.optional("boundCluster")
    var reader = ByteReader(Array(try row.optional("clientKey") as Data? ?? Data()))
    let owner = try? (reader.readBlob(limit: 1024), reader.readString(limit: 1024))
    (ownerKey, ownerCluster) = (owner?.0, owner?.1)
  }

  static func all(_ database: Database) throws -> [TokenRecord] {
    try Row.fetchAll(database, sql: "SELECT * FROM pairingToken ORDER BY createdAt, secret").map(TokenRecord.init(row:))
  }

  static func find(_ database: Database, secret: [UInt8]) throws -> TokenRecord? {
    try Row.fetchOne(database, sql: "SELECT * FROM pairingToken WHERE secret = ?", arguments: [Data(secret)])
      .map(TokenRecord.init(row:))
  }

  func insert(_ database: Database) throws {
    try database.execute(
      sql: "INSERT INTO pairingToken (secret, createdAt, failures, secondsLeft, boundCluster) VALUES (?,?,?,?,?)",
      arguments: [Data(secret), createdAt, Data(), secondsLeft, boundCluster])
  }

  /// Says to whom the token belongs from now on.
  static func give(_ database: Database, secret: [UInt8], key: [UInt8], cluster: String) throws {
    var writer = ByteWriter()
    writer.writeBlob(key)
    writer.write(cluster)
    try database.execute(
      sql: "UPDATE pairingToken SET clientKey = ? WHERE secret = ?", arguments: [Data(writer.bytes), Data(secret)])
  }

  func delete(_ database: Database) throws {
    try database.execute(sql: "DELETE FROM pairingToken WHERE secret = ?", arguments: [Data(secret)])
  }

  /// Removes what a cluster could pair with: tokens it has used or is bound to, all of the keys it used them with, and those
  /// that are nobody's yet, since it may have been given one.
  static func withdraw(_ database: Database, of cluster: String) throws {
    let tokens = try all(database)
    let keys = Set(tokens.filter { $0.ownerCluster == cluster }.compactMap(\.ownerKey))
    for token in tokens
    where token.ownerCluster == cluster || token.boundCluster == cluster || token.ownerKey.map(keys.contains) == true
      || (token.ownerCluster == nil && token.boundCluster == nil)
    {
      try token.delete(database)
    }
  }

  /// Counts the time down that has run, and removes tokens whose time is over.
  static func countDown(_ database: Database, seconds: Double, now: Timestamp) throws {
    try database.execute(sql: "UPDATE pairingToken SET secondsLeft = secondsLeft - ?", arguments: [seconds])
    try removeOver(database, now: now)
  }

  /// Removes tokens whose time is over, by running time or by the clock.
  static func removeOver(_ database: Database, now: Timestamp) throws {
    let oldest = Timestamp(nanoseconds: now.nanoseconds &- PairingTokenState.lifetime)
    try database.execute(sql: "DELETE FROM pairingToken WHERE secondsLeft <= 0 OR createdAt <= ?", arguments: [oldest])
  }
}
