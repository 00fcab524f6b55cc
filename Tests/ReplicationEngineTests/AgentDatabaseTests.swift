import Glibc
import BlockDiff
import GRDB
import ReplModel
import TestSupport
import Testing

@testable import ReplicationEngine

/// The settings and the schema of the database on a real file.
@Suite struct AgentDatabaseTests {
  @Test("commits are durable: WAL with synchronous=FULL, on every opening")
  func settings() throws {
    let directory = try TemporaryDirectory()
    for _ in 1...2 {
      let database = try AgentDatabase.open(directory.path + "/agent.db")
      #expect(try database.read { try Int.fetchOne($0, sql: "PRAGMA synchronous") } == 2)
      #expect(try database.read { try String.fetchOne($0, sql: "PRAGMA journal_mode") } == "wal")
      #expect(try database.read { try Int.fetchOne($0, sql: "PRAGMA foreign_keys") } == 1)
      #expect(
        try database.read { try Int.fetchOne($0, sql: "PRAGMA user_version") } == AgentDatabase.schemaVersion)
    }
  }

  @Test("a database of a newer program is refused by name and left as it is")
  func newerSchema() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/agent.db"
    let newer = AgentDatabase.schemaVersion + 1
    try AgentDatabase.open(path).queue.close()
    let plain = try DatabaseQueue(path: path)
    try plain.write { try $0.execute(sql: "PRAGMA user_version = \(newer)") }
    try plain.close()
    let error = #expect(throws: ReplError.self) { try AgentDatabase.open(path) }
    #expect(error?.kind == .refused)
    #expect(error?.subject == path)
    #expect(error?.cause.contains("schema version \(newer)") == true)
    #expect(try DatabaseQueue(path: path).read { try Int.fetchOne($0, sql: "PRAGMA user_version") } == newer)
  }

  @Test("a database of version 1 is copied beside itself and brought up to date with what it holds")
  func upgrade() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/agent.db"
    let old = try DatabaseQueue(path: path)
    try old.write { database in
      try database.execute(sql: Schema.version1)
      try database.execute(sql: "PRAGMA user_version = 1")
      try database.execute(
        sql: "INSERT INTO peer (cluster, node, authority, host, port) VALUES ('west', 'w1', x'00', 'w', 9001)")
    }
    try old.close()
    let database = try AgentDatabase.open(path)
    let peer = try #require(try database.read { try PeerRecord.find($0, "west") })
    #expect(peer.node == "w1")
    #expect(peer.invited, "version 1 did not keep who was")
    #expect(try database.read { try $0.tableExists("promotion") })
    let copy = try DatabaseQueue(path: path + ".v1.bak")
    #expect(try copy.read { try Int.fetchOne($0, sql: "PRAGMA user_version") } == 1)
    #expect(try copy.read { try String.fetchOne($0, sql: "SELECT cluster FROM peer") } == "west")
  }

  @Test("instants at which trust ends become time that is left, and trust that had ended stays so")
  func trustOfVersion1() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/agent.db"
    let old = try DatabaseQueue(path: path)
    let now = SystemClock().now().nanoseconds
    try old.write { database in
      try database.execute(sql: Schema.version1)
      try database.execute(sql: "PRAGMA user_version = 1")
      for (cluster, end) in [("lasting", nil), ("ending", now + 7200_000_000_000), ("ended", now - 1)]
        as [(String, Int64?)]
      {
        try database.execute(
          sql:
            "INSERT INTO peer (cluster, node, authority, host, port, expiresAt) VALUES (?, 'n', x'00', 'w', 9001, ?)",
          arguments: [cluster, end])
      }
    }
    try old.close()
    let database = try AgentDatabase.open(path)
    let trust = try database.read { try PeerRecord.all($0) }.map(\.trust)
    guard trust.count == 3, trust[0] == .ended, case .ending(let seconds) = trust[1], trust[2] == .lasting else {
      Issue.record("\(trust)")
      return
    }
    #expect((7100...7201).contains(seconds))
  }

  @Test("a row that cannot be read is set aside with its content, and the others are there")
  func unreadableRows() throws {
    let database = try AgentDatabase.inMemory()
    try database.write { database in
      for number in 1...3 {
        try VolumeRecord(
          id: VolumeID(high: 0, low: UInt64(number)), namespace: "shop", name: "v\(number)", path: "/v", pool: nil,
          isDevice: false, size: 1, allowFuzzy: false, lineage: .random(), branch: Branch(epoch: 1, id: .random()),
          role: .source, nextGeneration: 1, distrustReason: nil, fullReason: nil
        ).insert(database)
      }
      try database.execute(sql: "UPDATE volume SET size = 'rubbish' WHERE name = 'v2'")
      try database.execute(sql: "UPDATE volume SET namespace = x'FFFE' WHERE name = 'v3'")
      try database.execute(
        sql: "INSERT INTO peer (cluster, node, authority, host, port) VALUES ('west', 'w1', x'00', 'w', 'port')")
      try database.execute(
        sql: """
          INSERT INTO pair (uid, namespace, name, peer, host, port, mode, tokenHash)
          VALUES ('u', 'shop', 'p', 'west', 'w', 9001, 'Default', x'00')
          """)
      try database.execute(
        sql: """
          INSERT INTO point (cluster, volume, point, generation, pool, seal, sealedAt, state, confirmed)
          VALUES ('west', '\(VolumeID.random())', '\(PointID.random())', 1, 'main', x'00', 1, 'sealed', 1)
          """)
    }
    let found = try database.write { try UnreadableRows.setAside($0, at: Timestamp(nanoseconds: 7)) }
    #expect(found.count == 4)
    #expect(try database.read { try VolumeRecord.all($0) }.map(\.name) == ["v1"])
    #expect(try database.read { try PeerRecord.all($0) }.isEmpty)
    let kept = try database.read { try String.fetchAll($0, sql: "SELECT content FROM unreadable ORDER BY content") }
    #expect(kept.count == 4 && kept.contains { $0.contains("rubbish") })
    #expect(try database.write { try UnreadableRows.setAside($0, at: Timestamp(nanoseconds: 8)) }.isEmpty)
  }

  @Test("a generation that a hostile peer has led a volume to is taken back by the upgrade")
  func absurdGeneration() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/agent.db"
    let id = VolumeID.random()
    let old = try DatabaseQueue(path: path)
    try old.write { database in
      try database.execute(sql: Schema.version1)
      try database.execute(sql: "PRAGMA user_version = 1")
      try database.execute(
        sql: """
          INSERT INTO volume (id, namespace, name, path, isDevice, size, allowFuzzy, lineage, branchEpoch, branchID, role,
            nextGeneration) VALUES (?, 'shop', 'db', '/db', 0, 1, 0, ?, 1, ?, 'source', 4611686018427387905)
          """, arguments: [id, LineageID.random(), BranchID.random()])
      try database.execute(
        sql: """
          INSERT INTO snapshot (point, volume, peer, generation, size, takenAt, consistency, stallNanoseconds, directory,
            hasImage, state) VALUES (?, ?, 'west', 41, 1, 1, 1, 0, '/s', 0, 'sealed')
          """, arguments: [PointID.random(), id])
    }
    try old.close()
    let database = try AgentDatabase.open(path)
    let volume = try #require(try database.read { try VolumeRecord.find($0, id) })
    #expect(volume.nextGeneration == 42)
    #expect(volume.identity == nil)
  }

  @Test("the database and what SQLite keeps beside it are for the agent's user alone, also if they were not before")
  func modes() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/agent.db"
    for _ in 0..<2 {
      let database = try AgentDatabase.open(path)
      try database.write { try $0.execute(sql: "CREATE TABLE IF NOT EXISTS probe (a)") }
      for name in ["", "-wal", "-shm"] {
        var status = stat()
        #expect(stat(path + name, &status) == 0 && status.st_mode & 0o777 == 0o600, "agent.db\(name)")
      }
      try database.queue.close()
      #expect(chmod(path, 0o644) == 0)
    }
  }

  @Test("a promotion reads back as it was written")
  func promotion() throws {
    let database = try AgentDatabase.inMemory()
    let source = try SourceVolume(cluster: "east", volume: VolumeID(high: 1, low: 2))
    let record = PromotionRecord(
      source: source,
      mark: PromotionMark(
        point: PointID(high: 3, low: 4), path: "/pool/volumes/shop/db.img", site: "west",
        promotedAt: Timestamp(nanoseconds: 1_700_000_000_123_456_789),
        branch: Branch(epoch: 2, id: BranchID(high: 5, low: 6)), isLive: false))
    try database.write { try record.save($0) }
    #expect(try database.read { try PromotionRecord.find($0, source) } == record)
    #expect(try database.read { try PromotionRecord.unfinished($0) } == [record])
    #expect(record.inUse == "volume in use: promoted at west at 2023-11-14T22:13:20Z")
  }

  @Test("what fails within a transaction is not there afterwards")
  func rollback() throws {
    let database = try AgentDatabase.inMemory()
    let volume = VolumeID(high: 1, low: 2)
    let error = #expect(throws: ReplError.self) {
      try database.write { database in
        try PairCount.increment(database, pair: "pair", volume: volume)
        throw ReplError(.cancelled, subject: "test", cause: "stopped in the middle")
      }
    }
    #expect(error?.kind == .cancelled)
    #expect(try database.read { try PairCount.done($0, pair: "pair", volume: volume) } == 0)
  }

  @Test("a damaged column is an error that says so")
  func damagedColumn() throws {
    let database = try AgentDatabase.inMemory()
    let volume = VolumeID(high: 1, low: 2)
    try database.write {
      try $0.execute(
        sql: """
          INSERT INTO point (cluster, volume, point, generation, pool, seal, sealedAt, state, confirmed)
          VALUES ('c', ?, ?, 1, 'main', x'0102', 0, 'sealed', 0)
          """, arguments: [volume, PointID(high: 3, low: 4)])
    }
    let error = #expect(throws: ReplError.self) {
      try database.read { try CatalogPoint.all($0, cluster: "c", volume: volume) }
    }
    #expect(error?.kind == .damaged)
  }
}
