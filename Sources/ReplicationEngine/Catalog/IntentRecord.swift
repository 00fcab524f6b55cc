import BlockDiff
import GRDB
import ReplModel

/// What several durable steps at one replica are for. The raw values are in the database: never rename.
enum IntentVerb: String, Hashable, Sendable, CaseIterable {
  /// A point becomes the live file: ``PromotionStep``.
  case promote
}

/// Work at one replica that takes several durable steps, recorded before the first. A replica has one at most, and it is
/// there until its last step is done: start-up goes on with what it finds.
struct IntentRecord: Hashable, Sendable {
  var source: SourceVolume
  var verb: IntentVerb
  /// The step that is to be done next.
  var step: String
  /// For people.
  var startedAt: Timestamp
}

extension IntentRecord {
  init(row: Row) throws {
    source = try SourceVolume(cluster: try row.value("cluster"), volume: try row.value("volume"))
    let name: String = try row.value("verb")
    guard let verb = IntentVerb(rawValue: name) else {
      throw ReplError(.damaged, subject: "agent database", cause: "there is no intent \(name)")
    }
    self.verb = verb
    step = try row.value("step")
    startedAt = try row.value("startedAt")
  }

  /// - Throws: `.refused` when the replica has another one.
  func insert(_ database: Database) throws {
    if let other = try Self.find(database, source) {
      throw ReplError(
        .refused, subject: "\(source)", cause: "another change of it is under way: \(other.verb.rawValue)",
        remedy: "try again when it is done")
    }
    try database.execute(
      sql: "INSERT INTO intent (cluster, volume, verb, step, startedAt) VALUES (?,?,?,?,?)",
      arguments: [source.cluster, source.volume, verb.rawValue, step, startedAt])
  }

  static func find(_ database: Database, _ source: SourceVolume) throws -> IntentRecord? {
    try Row.fetchOne(
      database, sql: "SELECT * FROM intent WHERE cluster = ? AND volume = ?",
      arguments: [source.cluster, source.volume]
    ).map(IntentRecord.init(row:))
  }

  /// Those that are to be finished.
  static func all(_ database: Database) throws -> [IntentRecord] {
    try Row.fetchAll(database, sql: "SELECT * FROM intent ORDER BY rowid").map(IntentRecord.init(row:))
  }

  /// The step before `step` is done.
  func advance(_ database: Database, to step: String) throws {
    try database.execute(
      sql: "UPDATE intent SET step = ? WHERE cluster = ? AND volume = ? AND verb = ?",
      arguments: [step, source.cluster, source.volume, verb.rawValue])
  }

  /// The last step is done, or the intent was taken back.
  func delete(_ database: Database) throws {
    try database.execute(
      sql: "DELETE FROM intent WHERE cluster = ? AND volume = ? AND verb = ?",
      arguments: [source.cluster, source.volume, verb.rawValue])
  }

  private static let promotionsWithout = """
    FROM promotion WHERE isLive = 0 AND NOT EXISTS (
      SELECT 1 FROM intent WHERE intent.cluster = promotion.cluster AND intent.volume = promotion.volume)
    """

  /// Whether there are promotions without a live file that no intent is there for.
  static func lacksPromotions(_ database: Database) throws -> Bool {
    try Bool.fetchOne(database, sql: "SELECT EXISTS (SELECT 1 \(promotionsWithout))") ?? false
  }

  /// A promotion without a live file goes on, whatever became of its intent: one of a version that had none, and one whose
  /// row was set aside as unreadable. Its steps begin anew.
  static func restorePromotions(_ database: Database, at now: Timestamp) throws {
    try database.execute(
      sql:
        "INSERT INTO intent (cluster, volume, verb, step, startedAt) SELECT cluster, volume, ?, ?, ? \(promotionsWithout)",
      arguments: [IntentVerb.promote.rawValue, PromotionStep.mark.rawValue, now])
  }
}

extension IntentRecord {
  var unknownStep: ReplError {
    ReplError(.damaged, subject: "\(source)", cause: "its intent \(verb.rawValue) has no step \(step.prefix(40))")
  }
}
