import AgentService
import GRDB
import ReplModel
import Synchronization
import Testing

@testable import ReplicationEngine

/// What a run writes into the agent's database about its progress.
@Suite struct ProgressRecordTests {
  @Test("what a run records costs the same for each member, however many there are")
  func costOfMembers() throws {
    let (few, many) = (try bytesWritten(members: 2), try bytesWritten(members: 16))
    #expect(few > 0)
    // The request and the run's own report are written at its beginning and its end: so much for each member. What is
    // written at each step of each member must not have the others in it.
    #expect(many / 16 <= few / 2, "\(many) bytes for 16 members, \(few) for 2")
  }

  @Test("what members have recorded is what a run under way says, and its own report is what counts at its end")
  func recordedProgress() throws {
    let world = try World.written(2)
    let record = try world.ask()
    let (first, second) = (record.request.volumes[0], record.request.volumes[1])
    var report = record.report.volumes[0]
    report.bytesOnWire = 7
    try world.source.database.write { [report] database in
      for volume in [first, second] {
        try RunMember(uid: record.uid, volume: volume, session: .random(), point: nil, kind: .full).save(database)
      }
      try RunMember.saveReport(database, uid: record.uid, volume: first, report)
      try database.execute(sql: "UPDATE runMember SET report = x'00' WHERE volume = ?", arguments: [second])
    }
    let found = try #require(try world.source.database.read { try RunRecord.unfinished($0) }.first)
    #expect(found.report.volumes.map(\.bytesOnWire) == [7, 0], "one that cannot be read counts as not recorded")

    var ended = record
    ended.state = .cancelled
    try world.source.database.write { [ended] in try ended.save($0) }
    try world.source.database.write { [report] in
      try RunMember.saveReport($0, uid: record.uid, volume: first, report)
    }
    let last = try #require(try world.source.database.read { try RunRecord.find($0, uid: record.uid) })
    #expect(last.report.volumes.map(\.bytesOnWire) == [0, 0], "what comes after the end is not recorded")
  }

  /// Length of all statements of a run, with their values, that write runs and members.
  private func bytesWritten(members: Int) throws -> Int {
    let world = try World.written(members)
    let written = Mutex(0)
    try world.source.database.read { database in
      database.trace(options: .statement) { event in
        guard case .statement(let statement) = event else { return }
        let text = statement.expandedSQL
        guard text.hasPrefix("INSERT INTO run") || text.hasPrefix("UPDATE run") else { return }
        written.withLock { $0 += text.utf8.count }
      }
    }
    #expect(try world.migrate()?.state == .succeeded)
    try world.source.database.read { $0.trace(nil) }
    return written.withLock { $0 }
  }
}
