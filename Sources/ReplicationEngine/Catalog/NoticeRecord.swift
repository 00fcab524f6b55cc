import GRDB
import ReplModel
import WireProtocol

/// Something a peer has to be told of a volume of ours; kept until the peer has answered it.
struct NoticeRecord: Hashable, Sendable {
  var peer: String
  var notice: VolumeNotice
}

extension NoticeRecord {
  private enum Kind: Int {
    case deleted = 1
    case doubted = 2
  }

  private var kind: Kind {
    switch notice.content {
    case .deleted: .deleted
    case .doubted: .doubted
    }
  }

  init(row: Row) throws {
    peer = try row.value("peer")
    let content: VolumeNotice.Content
    switch Kind(rawValue: try row.value("kind")) {
    case .deleted: content = .deleted
    case .doubted: content = .doubted(after: try row.count("generation"), reason: try row.optional("reason") ?? "")
    case nil: throw ReplError(.damaged, subject: "agent database", cause: "a notice is of an unknown kind")
    }
    notice = VolumeNotice(volume: try row.value("volume"), content: content)
  }

  private var generation: Int64? {
    if case .doubted(let generation, _) = notice.content { Int64(clamping: generation) } else { nil }
  }
  private var reason: String? { if case .doubted(_, let reason) = notice.content { reason } else { nil } }

  /// Keeps it. One of the same kind about the same volume is replaced, and doubt reaches back as far as either did.
  func insert(_ database: Database) throws {
    try database.execute(
      sql: """
        INSERT INTO notice (peer, volume, kind, generation, reason) VALUES (?,?,?,?,?)
        ON CONFLICT (peer, volume, kind) DO UPDATE SET generation = MIN(generation, excluded.generation),
          reason = excluded.reason
        """,
      arguments: [peer, notice.volume, kind.rawValue, generation, reason])
  }

  static func all(_ database: Database, peer: String) throws -> [NoticeRecord] {
    try Row.fetchAll(database, sql: "SELECT * FROM notice WHERE peer = ? ORDER BY volume, kind", arguments: [peer])
      .map(NoticeRecord.init(row:))
  }

  /// It was answered. What it has become meanwhile is still to be told.
  func delete(_ database: Database) throws {
    try database.execute(
      sql: "DELETE FROM notice WHERE peer = ? AND volume = ? AND kind = ? AND generation IS ? AND reason IS ?",
      arguments: [peer, notice.volume, kind.rawValue, generation, reason])
  }

  /// Keeps one for every peer that holds, or may hold, points of a volume, or what a broken session of it staged.
  static func tell(_ database: Database, of volume: VolumeID, _ content: (String) throws -> VolumeNotice.Content) throws
  {
    let peers = try String.fetchAll(
      database,
      sql: """
        SELECT peer FROM snapshot WHERE volume = ?
        UNION SELECT peer FROM run JOIN runMember USING (uid) WHERE volume = ? ORDER BY peer
        """, arguments: [volume, volume])
    for peer in peers {
      try NoticeRecord(peer: peer, notice: VolumeNotice(volume: volume, content: content(peer))).insert(database)
    }
  }
}

/// Up to which generation the points of a volume at a peer are known to miss nothing: that of the newest twin that a
/// whole scrub found clean.
enum CleanScrub {
  static func find(_ database: Database, _ volume: VolumeID, peer: String) throws -> UInt64? {
    try Int64.fetchOne(
      database, sql: "SELECT generation FROM cleanScrub WHERE volume = ? AND peer = ?", arguments: [volume, peer]
    ).map { UInt64(clamping: $0) }
  }

  static func record(_ database: Database, volume: VolumeID, peer: String, generation: UInt64) throws {
    try database.execute(
      sql: """
        INSERT INTO cleanScrub (volume, peer, generation) VALUES (?,?,?)
        ON CONFLICT (volume, peer) DO UPDATE SET generation = MAX(generation, excluded.generation)
        """,
      arguments: [volume, peer, Int64(clamping: generation)])
  }
}
