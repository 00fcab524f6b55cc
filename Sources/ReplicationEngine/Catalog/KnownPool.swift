import BlockDiff
import GRDB
import ReplModel

/// The pools this agent has used, by their names in the configuration.
enum KnownPool {
  static func find(_ database: Database, _ name: String) throws -> Pool.Known? {
    if let row = try Row.fetchOne(database, sql: "SELECT id FROM pool WHERE name = ?", arguments: [name]) {
      return Pool.Known(id: try row.value("id") as PoolID)
    }
    // A database from before version 3 knows a pool only by what is in it.
    let isUsed = try Bool.fetchOne(
      database,
      sql:
        "SELECT EXISTS (SELECT 1 FROM point WHERE pool = ?) OR EXISTS (SELECT 1 FROM replica WHERE pool = ? AND role = 'source')",
      arguments: [name, name])
    return isUsed == true ? Pool.Known(id: nil) : nil
  }

  static func save(_ database: Database, _ name: String, _ id: PoolID) throws {
    try database.execute(sql: "INSERT OR REPLACE INTO pool (name, id) VALUES (?,?)", arguments: [name, id])
  }
}
