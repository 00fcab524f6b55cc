import AgentService
import Foundation
import GRDB
import ReplModel
import WireProtocol

/// The run of one Migration: recorded before anything is done, so that a restart goes on where it was.
struct RunRecord: Sendable {
  var request: StoredRunRequest
  /// Cluster id of the peer.
  var peer: String
  var group: GroupID
  var state: RunState
  /// What is known of it: of a run under way as its members recorded it, of one that ended as it did.
  var report: MigrationReport
  /// For people; what came before what is told by the order of the rows.
  var createdAt: Timestamp

  var uid: String { request.reference.uid }
}

/// What is kept of a ``MigrationRequest``.
struct StoredRunRequest: Codable, Sendable {
  var reference: ObjectReference
  var pair: ObjectReference
  var volumes: [VolumeID]
  /// Of each volume, in the same order, the generation its next snapshot had when the run was asked for: a snapshot of
  /// this or a later one was taken after that. Nil for a run of an older version.
  var generations: [UInt64]?
  var acceptShrink: Bool
  var mode: PairMode
}

extension RunRecord {
  init(row: Row) throws {
    request = try JSONDecoder().decode(StoredRunRequest.self, from: try row.value("request"))
    peer = try row.value("peer")
    group = try row.value("grp")
    state = RunState(rawValue: try row.value("state")) ?? .failed
    report = try JSONDecoder().decode(MigrationReport.self, from: try row.value("report"))
    createdAt = try row.value("createdAt")
  }

  func save(_ database: Database) throws {
    try database.execute(
      sql: """
        INSERT INTO run (uid, request, peer, grp, state, report, createdAt) VALUES (?,?,?,?,?,?,?)
        ON CONFLICT (uid) DO UPDATE SET state = excluded.state, report = excluded.report
          WHERE run.state IN ('pending', 'running')
        """,
      arguments: [
        uid, try JSONEncoder().encode(request), peer, group, state.rawValue, try JSONEncoder().encode(report),
        createdAt,
      ])
    guard state.isFinal else { return }
    // From now on the run's own report is what counts.
    try database.execute(sql: "UPDATE runMember SET report = NULL WHERE uid = ?", arguments: [uid])
  }

  static func find(_ database: Database, uid: String) throws -> RunRecord? {
    var record = try Row.fetchOne(database, sql: "SELECT * FROM run WHERE uid = ?", arguments: [uid])
      .map(RunRecord.init(row:))
    try record?.addProgress(database)
    return record
  }

  static func unfinished(_ database: Database) throws -> [RunRecord] {
    try Row.fetchAll(
      database, sql: "SELECT * FROM run WHERE state IN ('pending', 'running') ORDER BY rowid"
    ).map { row in
      var record = try RunRecord(row: row)
      try record.addProgress(database)
      return record
    }
  }

  /// Takes over what the members of a run under way have recorded since the run was.
  private mutating func addProgress(_ database: Database) throws {
    guard !state.isFinal else { return }
    let recorded = try RunMember.reports(database, uid: uid)
    report.volumes = report.volumes.map { recorded[$0.volume] ?? $0 }
  }

  /// Hands over the newest finished runs, the oldest of them first, one at a time: each may have thousands of members.
  static func eachFinished(_ database: Database, newest count: Int, _ body: (RunRecord) throws -> Void) throws {
    let rows = try Row.fetchCursor(
      database,
      sql: """
        SELECT * FROM run WHERE rowid IN (
          SELECT rowid FROM run WHERE state NOT IN ('pending', 'running') ORDER BY rowid DESC LIMIT ?) ORDER BY rowid
        """, arguments: [count])
    while let row = try rows.next() { try body(try RunRecord(row: row)) }
  }

  /// Keeps the newest `count` finished runs.
  static func prune(_ database: Database, keep count: Int) throws {
    try database.execute(
      sql: """
        DELETE FROM run WHERE state NOT IN ('pending', 'running') AND uid NOT IN (
          SELECT uid FROM run WHERE state NOT IN ('pending', 'running') ORDER BY rowid DESC LIMIT ?)
        """, arguments: [count])
  }
}

/// One volume of a run: its session id and, once taken, its snapshot.
struct RunMember: Sendable {
  var uid: String
  var volume: VolumeID
  var session: SessionID
  var point: PointID?
  var kind: SessionKind
}

extension RunMember {
  init(row: Row) throws {
    uid = try row.value("uid")
    volume = try row.value("volume")
    session = try row.value("session")
    point = try row.optional("point")
    kind = SessionKind(rawValue: UInt8(clamping: try row.value("kind") as Int64)) ?? .full
  }

  func save(_ database: Database) throws {
    try database.execute(
      sql: """
        INSERT INTO runMember (uid, volume, session, point, kind) VALUES (?,?,?,?,?)
        ON CONFLICT (uid, volume) DO UPDATE SET session = excluded.session, point = excluded.point, kind = excluded.kind
        """, arguments: [uid, volume, session, point, Int(kind.rawValue)])
  }

  /// Records what a member of a run under way has done. Costs the same however many members the run has; the report of
  /// a run that has ended stays as it is.
  static func saveReport(_ database: Database, uid: String, volume: VolumeID, _ report: VolumeRunReport) throws {
    try database.execute(
      sql: """
        UPDATE runMember SET report = ? WHERE uid = ? AND volume = ?
          AND EXISTS (SELECT 1 FROM run WHERE run.uid = runMember.uid AND run.state IN ('pending', 'running'))
        """, arguments: [try JSONEncoder().encode(report), uid, volume])
  }

  /// What the members of a run have recorded, by the volume's id in reports. They are for people: one that cannot be read
  /// counts as not recorded, and keeps nobody from going on.
  fileprivate static func reports(_ database: Database, uid: String) throws -> [String: VolumeRunReport] {
    var reports: [String: VolumeRunReport] = [:]
    let rows = try Row.fetchCursor(
      database, sql: "SELECT report FROM runMember WHERE uid = ? AND report IS NOT NULL", arguments: [uid])
    while let row = try rows.next() {
      guard let report = try? JSONDecoder().decode(VolumeRunReport.self, from: try row.value("report")) else {
        continue
      }
      reports[report.volume] = report
    }
    return reports
  }

  static func all(_ database: Database, uid: String) throws -> [RunMember] {
    try Row.fetchAll(database, sql: "SELECT * FROM runMember WHERE uid = ? ORDER BY volume", arguments: [uid])
      .map(RunMember.init(row:))
  }
}

/// Migrations counted per volume and ClusterPair object: every seventh is full unless the mode says otherwise.
enum PairCount {
  static let fullEvery = 7

  /// Whether the migration after `done` finished ones takes nothing from a base, and why.
  static func fullReason(mode: PairMode, done: Int) -> String? {
    switch mode {
    case .disasterRecovery: nil
    case .oneTimeMigration: "the pair's mode is OneTimeMigration"
    case .default where (done + 1) % fullEvery == 0:
      "migration \(done + 1) of the pair: every 7th is full in mode Default"
    case .default: nil
    }
  }

  static func done(_ database: Database, pair: String, volume: VolumeID) throws -> Int {
    try Int.fetchOne(
      database, sql: "SELECT count FROM pairCount WHERE pair = ? AND volume = ?", arguments: [pair, volume]) ?? 0
  }

  static func increment(_ database: Database, pair: String, volume: VolumeID) throws {
    try database.execute(
      sql: """
        INSERT INTO pairCount (pair, volume, count) VALUES (?, ?, 1)
        ON CONFLICT (pair, volume) DO UPDATE SET count = count + 1
        """, arguments: [pair, volume])
  }
}
