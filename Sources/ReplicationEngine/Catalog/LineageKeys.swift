import Foundation
import GRDB
import ReplModel

/// The fingerprint keys of lineages. They leave this table only towards a peer that is to hold points of the lineage.
enum LineageKeys {
  static func find(_ database: Database, _ lineage: LineageID) throws -> FingerprintKey? {
    let data = try Data.fetchOne(database, sql: "SELECT key FROM lineageKey WHERE lineage = ?", arguments: [lineage])
    return data.flatMap { FingerprintKey(bytes: Array($0)) }
  }

  static func save(_ database: Database, _ lineage: LineageID, _ key: FingerprintKey) throws {
    try database.execute(
      sql: "INSERT OR IGNORE INTO lineageKey (lineage, key) VALUES (?, ?)", arguments: [lineage, Data(key.bytes)])
  }
}
