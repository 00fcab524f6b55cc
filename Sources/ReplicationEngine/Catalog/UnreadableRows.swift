import GRDB
import ReplModel

/// Rows that hold what no version writes: one of them must not keep the agent from all the others. They are moved into the
/// table `unreadable` at the start, where people can look at them; data in pools is not touched by that, at this start or a
/// later one: ``mayNameSnapshots(_:)``.
enum UnreadableRows {
  private struct Table: Sendable {
    var name: String
    /// What is read; the table by itself where nothing is said.
    var joined = ""
    var read: @Sendable (Row) throws -> Void
  }

  private static let tables = [
    Table(name: "replica") { _ = try Replica(row: $0) },
    // A live volume without its replica is nothing: replicas go before them.
    Table(name: "liveVolume", joined: "LEFT JOIN replica USING (cluster, volume)") { _ = try VolumeRecord(row: $0) },
    Table(name: "snapshot") { _ = try SnapshotRecord(row: $0) },
    Table(name: "run") { _ = try RunRecord(row: $0) },
    Table(name: "runMember") { _ = try RunMember(row: $0) },
    Table(name: "point") { _ = try CatalogPoint(row: $0) },
    Table(name: "prepared") { _ = try PreparedRecord(row: $0) },
    Table(name: "promotion") { _ = try PromotionRecord(row: $0) },
    Table(name: "intent") { _ = try IntentRecord(row: $0) },
    Table(name: "notice") { _ = try NoticeRecord(row: $0) },
    Table(name: "scrubPass") { _ = try ScrubPass(row: $0) },
    Table(name: "pairingToken") { _ = try TokenRecord(row: $0) },
    // Pairs refer to peers, and go before them.
    Table(name: "pair") { _ = try PairRecord(row: $0) },
    Table(name: "peer") { _ = try PeerRecord(row: $0) },
  ]

  /// Returns what was set aside, a sentence each.
  static func setAside(_ database: Database, at now: Timestamp) throws -> [String] {
    var found: [String] = []
    for table in tables {
      let rows = try Row.fetchCursor(
        database, sql: "SELECT \(table.name).rowid AS row_number, * FROM \(table.name) \(table.joined)")
      var unreadable: [(row: Int64, content: String, cause: String)] = []
      while let row = try rows.next() {
        do { try table.read(row) } catch {
          guard let number = Int64.fromDatabaseValue(row["row_number"]) else { continue }
          unreadable.append((number, row.description, "\(error)"))
        }
      }
      for entry in unreadable {
        try move(database, table.name, entry.row, entry.content, entry.cause, now)
        found.append("a row of table \(table.name) cannot be read and was set aside: \(entry.cause)")
      }
    }
    return found
  }

  /// Whether rows that were set aside may be all that knew of some snapshots: then no snapshot is without a record for
  /// certain, and a sweep leaves those that seem to be. It ends when somebody has looked and deleted the rows.
  static func mayNameSnapshots(_ database: Database) throws -> Bool {
    try Bool.fetchOne(
      database,
      sql: "SELECT EXISTS (SELECT 1 FROM unreadable WHERE tbl IN ('volume', 'replica', 'liveVolume', 'snapshot'))")
      ?? true
  }

  private static func move(
    _ database: Database, _ table: String, _ row: Int64, _ content: String, _ cause: String, _ now: Timestamp
  ) throws {
    try database.execute(
      sql: "INSERT INTO unreadable (tbl, content, cause, foundAt) VALUES (?,?,?,?)",
      arguments: [table, String(content.prefix(65_536)), cause, now])
    if table == "peer" {
      try database.execute(
        sql: "DELETE FROM pair WHERE peer = (SELECT cluster FROM peer WHERE rowid = ?)", arguments: [row])
    }
    try database.execute(sql: "DELETE FROM \(table) WHERE rowid = ?", arguments: [row])
  }
}
