import BlockDiff
import Foundation
import GRDB
import ReplModel
import WireProtocol

/// Which image of a point something was seen of, and how much was held against it by then. What takes hours to read is
/// recorded only as far as it is still about this.
struct ImageVersion: Hashable, Sendable {
  var repairs: Int
  var findings: Int
}

/// What becomes of a point. Each transition writes the columns it owns, and asks within the transaction whether what it
/// saw is still so: doubt, confirmation, orphaning and promotion recorded meanwhile stay.
extension CatalogPoint {
  var version: ImageVersion { ImageVersion(repairs: repairs, findings: findings) }

  /// Whether nothing but segments that nobody has read yet is held against it.
  var isOnlyDoubtful: Bool { damaged.isEmpty && suspicion == nil && doubt == nil && !doubtful.isEmpty }

  /// Whether anything is: such a point is never `sealed`.
  var isTrusted: Bool { damaged.isEmpty && suspicion == nil && doubt == nil && doubtful.isEmpty }

  /// What ``damaged`` stands for: a full list may have left some out, so that it is all from its first one on.
  var damagedSegments: SegmentSet {
    guard damaged.count >= PointSummary.damageLimit, let first = damaged.first else { return SegmentSet(damaged) }
    return SegmentSet(from: first, toEndOf: seal.size)
  }

  // MARK: Held against it

  /// Segments that are not what was sealed. Of an image that was replaced since `seen` they are only doubtful.
  static func damage(
    _ database: Database, _ source: SourceVolume, _ id: PointID, _ segments: SegmentSet, seen: ImageVersion?
  ) throws {
    guard let point = try find(database, source, id) else { return }
    if let seen, seen.repairs != point.repairs { return try point.doubt(database, segments) }
    let inside = segments.clamped(toVolume: point.seal.size)
    let damaged = SegmentSet(point.damaged).union(inside).numbers(limit: PointSummary.damageLimit)
    guard !damaged.isEmpty else { return }
    try point.hold(database, "damaged = ?", SegmentList.encode(damaged))
  }

  /// Segments that are damaged in other images of the volume: all points and prepared members are to be read there.
  static func doubt(
    _ database: Database, _ source: SourceVolume, _ segments: SegmentSet, except id: PointID? = nil
  ) throws {
    for point in try all(database, cluster: source.cluster, volume: source.volume) where point.point != id {
      try point.doubt(database, segments)
    }
    try PreparedRecord.find(database, cluster: source.cluster, volume: source.volume)?.doubt(database, segments)
  }

  /// Not trusted anywhere until it was read whole.
  static func suspect(_ database: Database, _ source: SourceVolume, _ id: PointID, because reason: String) throws {
    // A reading of before says nothing of what is held against it now: the next one is due at once.
    try find(database, source, id)?.hold(
      database, "readAt = IIF(suspicion IS NULL, NULL, readAt), suspicion = COALESCE(suspicion, ?)", reason)
  }

  /// Its source doubts what it sealed.
  static func doubtSealed(_ database: Database, _ source: SourceVolume, _ id: PointID, because reason: String) throws {
    try find(database, source, id)?.hold(database, "doubt = COALESCE(doubt, ?)", reason)
  }

  private func doubt(_ database: Database, _ segments: SegmentSet) throws {
    let fresh = segments.clamped(toVolume: seal.size).subtracting(damagedSegments)
    guard !fresh.isEmpty else { return }
    // Also where it was doubtful before: whoever reads there now began too early.
    try hold(database, "doubtful = ?", doubtful.union(fresh).column)
  }

  private func hold(_ database: Database, _ change: String, _ value: (any DatabaseValueConvertible)?) throws {
    try database.execute(
      sql: "UPDATE point SET \(change), findings = findings + 1 WHERE cluster = ? AND volume = ? AND point = ?",
      arguments: [value, cluster, volume, point])
    try Self.settleState(database, cluster, volume)
  }

  // MARK: Settled by reading

  /// Some segments were read: `different` of them are not what was sealed.
  static func noteReading(
    _ database: Database, _ seen: CatalogPoint, read: SegmentSet, different: SegmentSet
  ) throws {
    guard let point = try find(database, seen), point.repairs == seen.repairs else { return }
    let settled = point.findings == seen.findings ? read : different
    let damaged = SegmentSet(point.damaged).union(different).numbers(limit: PointSummary.damageLimit)
    try database.execute(
      sql: "UPDATE point SET doubtful = ?, damaged = ? WHERE cluster = ? AND volume = ? AND point = ?",
      arguments: [
        point.doubtful.subtracting(settled).column, damaged.isEmpty ? nil : SegmentList.encode(damaged),
        point.cluster, point.volume, point.point,
      ])
    try settleState(database, point.cluster, point.volume)
  }

  /// What is suspect as a whole is read as a whole: there is nothing more to be told of single segments.
  static func leaveToWholeReading(_ database: Database, _ seen: CatalogPoint) throws {
    try database.execute(
      sql: """
        UPDATE point SET doubtful = NULL
        WHERE cluster = ? AND volume = ? AND point = ? AND repairs = ? AND suspicion IS NOT NULL
        """, arguments: [seen.cluster, seen.volume, seen.point, seen.repairs])
  }

  /// All of it was read, and `damaged` is what differs.
  ///
  /// - Parameters:
  ///   - seen: the point when the reading began.
  ///   - isRenewed: whether its files were replaced: it is another image then.
  static func noteWholeReading(
    _ database: Database, _ seen: CatalogPoint, damaged: SegmentSet, isRenewed: Bool, at now: Timestamp
  ) throws {
    guard let point = try find(database, seen), point.repairs == seen.repairs else { return }
    // What was held against it while it was read is still to be read. New files were just proven: damage of the old ones
    // is doubt there.
    let isAll = point.findings == seen.findings
    let old = SegmentSet(isRenewed ? [] : point.damaged)
    let list = (isAll ? damaged : damaged.union(old)).numbers(limit: PointSummary.damageLimit)
    let doubtful = isRenewed ? point.doubtful.union(point.damagedSegments) : point.doubtful
    try database.execute(
      sql: """
        UPDATE point SET damaged = ?, doubtful = ?, suspicion = ?, readAt = ?, repairs = repairs + ?,
          provenAt = CASE WHEN ? THEN ? ELSE provenAt END
        WHERE cluster = ? AND volume = ? AND point = ?
        """,
      arguments: [
        list.isEmpty ? nil : SegmentList.encode(list), isAll ? nil : doubtful.column,
        isAll ? nil : point.suspicion, now, isRenewed ? 1 : 0, isAll && list.isEmpty, now, point.cluster, point.volume,
        point.point,
      ])
    try settleState(database, point.cluster, point.volume)
  }

  /// It was read whole, whatever came of it.
  static func setRead(_ database: Database, _ seen: CatalogPoint, at now: Timestamp) throws {
    try database.execute(
      sql: "UPDATE point SET readAt = ? WHERE cluster = ? AND volume = ? AND point = ?",
      arguments: [now, seen.cluster, seen.volume, seen.point])
  }

  /// Notes that a sealed point was read piece by piece and found right; one of which something else is known by now stays
  /// as it is.
  static func setProven(_ database: Database, _ point: CatalogPoint, at now: Timestamp) throws {
    try database.execute(
      sql: """
        UPDATE point SET provenAt = ?, readAt = ?
        WHERE cluster = ? AND volume = ? AND point = ? AND state = 'sealed' AND repairs = ? AND findings = ?
        """,
      arguments: [now, now, point.cluster, point.volume, point.point, point.repairs, point.findings])
  }

  // MARK: Its life

  /// The live file was made of it.
  static func setPromoted(_ database: Database, _ source: SourceVolume, _ id: PointID) throws {
    try database.execute(
      sql: "UPDATE point SET state = 'promoted' WHERE cluster = ? AND volume = ? AND point = ?",
      arguments: [source.cluster, source.volume, id])
  }

  /// The state that what is held against each point of a volume makes of it; orphaned and promoted ones stay so.
  static func settleState(_ database: Database, _ cluster: String, _ volume: VolumeID) throws {
    try database.execute(
      sql: """
        UPDATE point SET state = CASE WHEN damaged IS NULL AND doubtful IS NULL AND suspicion IS NULL AND doubt IS NULL
          THEN 'sealed' ELSE 'suspect' END
        WHERE cluster = ? AND volume = ? AND state IN ('sealed', 'suspect')
        """, arguments: [cluster, volume])
  }

  static func find(_ database: Database, _ source: SourceVolume, _ id: PointID) throws -> CatalogPoint? {
    try find(database, cluster: source.cluster, volume: source.volume, point: id)
  }

  private static func find(_ database: Database, _ seen: CatalogPoint) throws -> CatalogPoint? {
    try find(database, cluster: seen.cluster, volume: seen.volume, point: seen.point)
  }

  // MARK: Lists

  /// Those with segments to be read.
  static func doubtful(_ database: Database) throws -> [CatalogPoint] {
    try Row.fetchAll(
      database, sql: "SELECT * FROM point WHERE doubtful IS NOT NULL ORDER BY cluster, volume, generation DESC"
    ).map(CatalogPoint.init(row:))
  }

  /// The suspect point that was not read whole for the longest, if that is before `instant` or never: reading may prove it.
  static func suspectToRead(_ database: Database, before instant: Timestamp) throws -> CatalogPoint? {
    try Row.fetchOne(
      database,
      sql: """
        SELECT * FROM point WHERE state = 'suspect' AND (damaged IS NOT NULL OR suspicion IS NOT NULL)
          AND (readAt IS NULL OR readAt < ?) ORDER BY COALESCE(readAt, 0), generation DESC LIMIT 1
        """, arguments: [instant]
    ).map(CatalogPoint.init(row:))
  }
}

extension PreparedRecord {
  fileprivate func doubt(_ database: Database, _ segments: SegmentSet) throws {
    let fresh = segments.clamped(toVolume: seal.size)
    guard !fresh.isEmpty else { return }
    try database.execute(
      sql: "UPDATE prepared SET doubtful = ?, findings = findings + 1 WHERE cluster = ? AND volume = ? AND point = ?",
      arguments: [doubtful.union(fresh).column, cluster, seal.volume, seal.point])
  }

  /// Segments were read and are what was sealed. False when more has been held against it meanwhile.
  static func noteClean(_ database: Database, _ seen: PreparedRecord, read: SegmentSet) throws -> Bool {
    guard let now = try find(database, cluster: seen.cluster, volume: seen.seal.volume),
      now.seal.point == seen.seal.point, now.findings == seen.findings
    else { return false }
    try database.execute(
      sql: "UPDATE prepared SET doubtful = ? WHERE cluster = ? AND volume = ? AND point = ?",
      arguments: [now.doubtful.subtracting(read).column, seen.cluster, seen.seal.volume, seen.seal.point])
    return true
  }

  /// Those with segments to be read.
  static func doubtful(_ database: Database) throws -> [PreparedRecord] {
    try Row.fetchAll(database, sql: "SELECT * FROM prepared WHERE doubtful IS NOT NULL").map(PreparedRecord.init(row:))
  }
}

/// The findings of which a file lies beside the points, and whose effect is recorded.
enum FindingRecord {
  static func insert(_ database: Database, _ finding: FindingID, _ source: SourceVolume, pool: String) throws {
    try database.execute(
      sql: "INSERT OR IGNORE INTO finding (id, cluster, volume, pool) VALUES (?,?,?,?)",
      arguments: [finding, source.cluster, source.volume, pool])
  }

  static func exists(_ database: Database, _ finding: FindingID) throws -> Bool {
    try Bool.fetchOne(
      database, sql: "SELECT EXISTS (SELECT 1 FROM finding WHERE id = ?)", arguments: [finding]) ?? false
  }

  /// Takes out the findings of a volume of which nothing is left to be held against anything.
  static func takeSettled(_ database: Database, _ source: SourceVolume) throws -> [(id: FindingID, pool: String)] {
    let isLeft = try Bool.fetchOne(
      database,
      sql: """
        SELECT EXISTS (SELECT 1 FROM point WHERE cluster = :cluster AND volume = :volume AND (
            damaged IS NOT NULL OR doubtful IS NOT NULL OR suspicion IS NOT NULL OR doubt IS NOT NULL))
          OR EXISTS (SELECT 1 FROM prepared WHERE cluster = :cluster AND volume = :volume AND doubtful IS NOT NULL)
        """, arguments: ["cluster": source.cluster, "volume": source.volume])
    guard isLeft == false else { return [] }
    let settled = try Row.fetchAll(
      database, sql: "DELETE FROM finding WHERE cluster = ? AND volume = ? RETURNING id, pool",
      arguments: [source.cluster, source.volume])
    return try settled.map { (try $0.value("id"), try $0.value("pool")) }
  }
}

extension CatalogPoint {
  /// What a finding of its volume holds against a point that is not in the database yet.
  mutating func hold(_ finding: Finding) {
    switch finding.content {
    case .segments(let segments): doubtful = doubtful.union(segments.clamped(toVolume: seal.size))
    case .point(let id): if id == point { suspicion = suspicion ?? finding.reason }
    case .sealed(let points): if points.contains(point) { doubt = doubt ?? finding.reason }
    }
  }
}
