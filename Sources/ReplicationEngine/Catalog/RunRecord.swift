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
  }

  static func find(_ database: Database, uid: String) throws -> RunRecord? {
    try Row.fetchOne(database, sql: "SELECT * FROM run WHERE uid = ?", arguments: [uid]).map(RunRecord.init(row:))
  }

  static func unfinished(_ database: Database) throws -> [RunRecord] {
    try Row.fetchAll(
      database, sql: "SELECT * FROM run WHERE state IN ('pending', 'running') ORDER BY rowid"
    ).map(RunRecord.init(row:))
  }

  /// The newest finished runs, newest first.
  static func finished(_ database: Database, newest count: Int) throws -> [RunRecord] {
    try Row.fetchAll(
      database,
      sql: "SELECT * FROM run WHERE state NOT IN ('pending', 'running') ORDER BY rowid DESC LIMIT ?",
      arguments: [count]
    ).map(RunRecord.init(row:))
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
