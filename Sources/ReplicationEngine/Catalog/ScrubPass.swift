import GRDB
import ReplModel

/// How far the scrub of one volume has come.
///
/// A pass goes through the segments of a volume once, a slice at a time, each on the newest point or twin there is then:
/// points come and go faster than a large volume can be read, and what a newer one did not change is the older one's.
struct ScrubPass: Hashable, Sendable {
  enum Side: String, Sendable {
    /// Twins of a volume of our own, for one peer.
    case source
    /// Points of a volume held for a peer.
    case target
  }

  struct Key: Hashable, Sendable {
    var side: Side
    /// The peer.
    var cluster: String
    var volume: VolumeID
  }

  var key: Key
  /// When the pass under way began, or the last one.
  var startedAt: Timestamp
  /// The segment to go on with; nil: no pass is under way.
  var next: UInt64?
  /// The point or twin that the pass began with, and its generation: what was missed before is found by a pass that began
  /// with it.
  var firstPoint: PointID
  var firstGeneration: UInt64
  /// When the last pass began that found nothing.
  var cleanAt: Timestamp?

  /// Begins anew at the first segment.
  mutating func begin(at now: Timestamp, with point: PointID, generation: UInt64) {
    (startedAt, next, firstPoint, firstGeneration) = (now, 0, point, generation)
  }

  /// Ends the pass.
  mutating func end(isClean: Bool) {
    next = nil
    if isClean { cleanAt = startedAt }
  }
}

extension ScrubPass {
  init(row: Row) throws {
    guard let side = Side(rawValue: try row.value("side")) else {
      throw ReplError(.damaged, subject: "agent database", cause: "a scrub has an unknown side")
    }
    key = Key(side: side, cluster: try row.value("cluster"), volume: try row.value("volume"))
    startedAt = try row.value("startedAt")
    next = (try row.optional("next") as Int64?).map { UInt64(clamping: $0) }
    firstPoint = try row.value("firstPoint")
    firstGeneration = try row.count("firstGeneration")
    cleanAt = try row.optional("cleanAt")
  }

  func save(_ database: Database) throws {
    try database.execute(
      sql: """
        INSERT OR REPLACE INTO scrubPass (side, cluster, volume, startedAt, next, firstPoint, firstGeneration, cleanAt)
        VALUES (?,?,?,?,?,?,?,?)
        """,
      arguments: [
        key.side.rawValue, key.cluster, key.volume, startedAt, next.map { Int64(clamping: $0) }, firstPoint,
        Int64(clamping: firstGeneration), cleanAt,
      ])
  }

  /// Brings a pass that is there up to date: the volume may be gone by now. One owner, the scrub's thread.
  func update(_ database: Database) throws {
    try database.execute(
      sql: """
        UPDATE scrubPass SET startedAt = ?, next = ?, firstPoint = ?, firstGeneration = ?, cleanAt = ?
        WHERE side = ? AND cluster = ? AND volume = ?
        """,
      arguments: [
        startedAt, next.map { Int64(clamping: $0) }, firstPoint, Int64(clamping: firstGeneration), cleanAt,
        key.side.rawValue, key.cluster, key.volume,
      ])
  }

  static func find(_ database: Database, _ key: Key) throws -> ScrubPass? {
    try Row.fetchOne(
      database, sql: "SELECT * FROM scrubPass WHERE side = ? AND cluster = ? AND volume = ?",
      arguments: [key.side.rawValue, key.cluster, key.volume]
    ).map(ScrubPass.init(row:))
  }

  /// Those that a pass has ended for without a finding.
  static func clean(_ database: Database) throws -> [ScrubPass] {
    try Row.fetchAll(database, sql: "SELECT * FROM scrubPass WHERE cleanAt IS NOT NULL").map(ScrubPass.init(row:))
  }

  static func delete(_ database: Database, _ side: Side, volume: VolumeID, cluster: String? = nil) throws {
    try database.execute(
      sql: "DELETE FROM scrubPass WHERE side = ? AND volume = ? AND cluster = COALESCE(?, cluster)",
      arguments: [side.rawValue, volume, cluster])
  }
}
