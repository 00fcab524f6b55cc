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
      let database = try AgentDatabase.open(directory.path + "/agent.db", cluster: "here")
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
    try AgentDatabase.open(path, cluster: "here").queue.close()
    let plain = try DatabaseQueue(path: path)
    try plain.write { try $0.execute(sql: "PRAGMA user_version = \(newer)") }
    try plain.close()
    let error = #expect(throws: ReplError.self) { try AgentDatabase.open(path, cluster: "here") }
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
    let database = try AgentDatabase.open(path, cluster: "here")
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
    let database = try AgentDatabase.open(path, cluster: "here")
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
          replica: Replica(
            cluster: "here", volume: VolumeID(high: 0, low: UInt64(number)), namespace: "shop", name: "v\(number)",
            authority: .new(), pool: ""),
          path: "/v", isDevice: false, size: 1, allowFuzzy: false, nextGeneration: 1, distrustReason: nil,
          fullReason: nil
        ).insert(database)
      }
      try database.execute(sql: "UPDATE liveVolume SET size = 'rubbish' WHERE volume LIKE '%2'")
      try database.execute(sql: "UPDATE replica SET namespace = x'FFFE' WHERE name = 'v3'")
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
    #expect(found.count == 5, "a live volume without its replica is one, too")
    #expect(try database.read { try VolumeRecord.all($0) }.map(\.name) == ["v1"])
    #expect(try database.read { try PeerRecord.all($0) }.isEmpty)
    let kept = try database.read { try String.fetchAll($0, sql: "SELECT content FROM unreadable ORDER BY content") }
    #expect(kept.count == 5 && kept.contains { $0.contains("rubbish") })
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
    let database = try AgentDatabase.open(path, cluster: "here")
    let volume = try #require(try database.read { try VolumeRecord.find($0, id) })
    #expect(volume.nextGeneration == 42)
    #expect(volume.identity == nil)
  }

  @Test("own and held volumes of version 4 become replicas with their authority; a promotion goes on")
  func replicasOfVersion4() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/agent.db"
    let old = try DatabaseQueue(path: path)
    let (own, held, promoted) = (VolumeID(high: 0, low: 1), VolumeID(high: 0, low: 2), VolumeID(high: 0, low: 3))
    let (lineage, branch, next) = (LineageID.random(), BranchID.random(), BranchID.random())
    let point = PointID.random()
    try old.write { database in
      try Schema.upgrade(database, from: 0, to: 4, cluster: "")
      try database.execute(
        sql: """
          INSERT INTO volume (id, namespace, name, path, isDevice, size, allowFuzzy, lineage, branchEpoch, branchID, role,
            nextGeneration) VALUES (?, 'shop', 'db', '/db', 0, 4096, 1, ?, 1, ?, 'source', 7)
          """, arguments: [own, lineage, branch])
      for (volume, role) in [(held, "target"), (promoted, "promoted")] {
        try database.execute(
          sql: """
            INSERT INTO targetVolume (cluster, volume, namespace, name, lineage, branchEpoch, branchID, role, pool,
              orphanedSeconds) VALUES ('east', ?, 'shop', 'db', ?, 3, ?, ?, 'main', 2.5)
            """, arguments: [volume, lineage, branch, role])
      }
      try database.execute(
        sql: """
          INSERT INTO promotion (cluster, volume, point, path, site, promotedAt, branchEpoch, branchID, isLive)
          VALUES ('east', ?, ?, '/live', 'here', 1, 4, ?, 0)
          """, arguments: [promoted, point, next])
    }
    try old.close()
    let database = try AgentDatabase.open(path, cluster: "here")
    try database.read { database in
      let volume = try #require(try VolumeRecord.find(database, own))
      #expect(volume.replica.cluster == "here" && volume.pool == nil && volume.nextGeneration == 7 && volume.allowFuzzy)
      #expect(
        volume.replica.authority == Authority(lineage: lineage, branch: Branch(epoch: 1, id: branch), role: .source))
      let replicas = try Replica.held(database)
      #expect(replicas.map(\.volume) == [held, promoted])
      #expect(replicas.map(\.orphanedSeconds) == [2.5, 2.5])
      let before = Branch(epoch: 3, id: branch)
      #expect(replicas[0].authority == .following(lineage: lineage, branch: before))
      #expect(
        replicas[1].authority
          == Authority(
            lineage: lineage, branch: Branch(epoch: 4, id: next),
            ancestors: [BranchPoint(branch: before, point: point)], role: .promoted))
      #expect(try IntentRecord.lacksPromotions(database))
    }
    try database.write { try IntentRecord.restorePromotions($0, at: Timestamp(nanoseconds: 5)) }
    let intents = try database.read { try IntentRecord.all($0) }
    #expect(intents.map(\.source.volume) == [promoted])
    #expect(intents.map(\.step) == [PromotionStep.mark.rawValue])
  }

  @Test("the database and what SQLite keeps beside it are for the agent's user alone, also if they were not before")
  func modes() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/agent.db"
    for _ in 0..<2 {
      let database = try AgentDatabase.open(path, cluster: "here")
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
