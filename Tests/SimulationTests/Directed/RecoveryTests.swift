import BlockDiff
import ReplModel
import Testing
import WireProtocol

@testable import ReplicationEngine

/// What the target makes of its files and records at start-up.
@Suite struct RecoveryTests {
  @Test("a group whose members are all prepared becomes points at start-up")
  func wholeGroup() throws {
    let world = try World.written(2)
    world.cutBefore = { if case .commitGroup = $0 { true } else { false } }
    #expect(try world.migrate()?.state == .failed)
    // Another peer cannot ask for it, even by the group's id.
    let prepared = try #require(try world.target.database.read { try PreparedRecord.all($0) }.first)
    let commit = ControlRequest.commitGroup(CommitGroup(group: prepared.seal.group))
    guard case .refused = world.service.handle(commit, from: "stranger") else {
      Issue.record("a group of another peer was committed")
      return
    }
    #expect(try world.volumes.allSatisfy { try world.points($0).isEmpty })
    let report = try world.rebootTarget()
    #expect(report.rolledForward.count == 1)
    #expect(try world.volumes.allSatisfy { try world.points($0).count == 1 })
    try world.check()
  }

  @Test("a group of which one member is prepared stays no group, until its source goes on")
  func halfGroup() throws {
    let world = try World.written(2)
    let second = world.volumes[1].id
    world.cutBefore = { if case .beginSession(let begin) = $0 { begin.volume == second } else { false } }
    #expect(try world.migrate()?.state == .failed)
    // Not by being asked to either.
    let prepared = try #require(try world.target.database.read { try PreparedRecord.all($0) }.first)
    let commit = ControlRequest.commitGroup(CommitGroup(group: prepared.seal.group))
    guard case .refused(let error) = world.service.handle(commit, from: "source") else {
      Issue.record("half a group was committed")
      return
    }
    #expect(error.cause.contains("is not whole: \(second)"))
    let report = try world.rebootTarget()
    #expect(report.rolledForward.isEmpty)
    #expect(try world.volumes.allSatisfy { try world.points($0).isEmpty })
    #expect(try world.target.database.read { try PreparedRecord.all($0) }.count == 1)
    world.cutBefore = { _ in false }
    #expect(try world.migrate()?.state == .succeeded)
    try world.check()
  }

  @Test("files among the points without a record are never points, and are not deleted")
  func filesWithoutRecord() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let point = try #require(try world.points(world.volumes[0]).first)
    _ = try world.target.database.write { try point.delete($0) }
    let report = try world.rebootTarget()
    #expect(report.unrecorded.count == 1)
    #expect(try world.points(world.volumes[0]).isEmpty)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    #expect(world.target.disk.contents(world.target.layout.point(source, point.point).image) != nil)
    let reply = world.service.handle(
      .queryPoint(QueryPoint(volume: world.volumes[0].id, point: point.point)), from: "source")
    #expect(reply == .queryPoint(.unknown))
  }

  @Test("a record whose files are gone is named")
  func recordWithoutFiles() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let point = try #require(try world.points(world.volumes[0]).first)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    try world.targetContext.store(pool: "main").delete(point.point, of: source)
    #expect(try world.rebootTarget().missing.count == 1)
  }

  @Test("what was answered survives a power cut of either side right after", arguments: 1...10 as ClosedRange<UInt64>)
  func powerCutAfterAnswer(seed: UInt64) throws {
    let world = try World.written(2, seed: seed)
    for _ in 1...3 {
      #expect(try world.migrate()?.state == .succeeded)
      let points = try world.volumes.map { try world.points($0).map(\.point) }
      let report = try world.rebootTarget()
      #expect(report.missing.isEmpty && report.unrecorded.isEmpty)
      try world.rebootSource()
      #expect(try world.volumes.map { try world.points($0).map(\.point) } == points)
      try world.check()
      try world.live(steps: 2)
    }
    #expect(world.lastReport?.volumes.map(\.changeSource) == ["reflink", "reflink"])
  }

  /// A point that is sealed in its staging area while the database cannot take that it is prepared.
  private static func sealedWithoutRecord() throws -> World {
    let world = try World.written(1)
    let trigger = "CREATE TRIGGER full BEFORE INSERT ON prepared BEGIN SELECT RAISE(ABORT, 'full'); END"
    try world.target.database.write { try $0.execute(sql: trigger) }
    #expect(try world.migrate()?.state == .failed)
    try world.target.database.write { try $0.execute(sql: "DROP TRIGGER full") }
    #expect(try world.target.database.read { try PreparedRecord.all($0) }.isEmpty)
    return world
  }

  @Test("a member that was sealed right before the end of the process is prepared at start-up")
  func sealedStaging() throws {
    let world = try Self.sealedWithoutRecord()
    let report = try world.rebootTarget()
    #expect(report.rolledForward.count == 1)
    #expect(try world.points(world.volumes[0]).count == 1)
    try world.check()
  }

  @Test("sealed staging of a volume that the database does not know is left for recover")
  func sealedStagingOfAnUnknownVolume() throws {
    let world = try Self.sealedWithoutRecord()
    try world.target.database.write { try $0.execute(sql: "DELETE FROM replica") }
    let report = try world.rebootTarget()
    #expect(report.rolledForward.isEmpty)
    #expect(report.unrecorded.count == 1)
    #expect(try world.target.database.read { try PreparedRecord.all($0) }.isEmpty)
    #expect(try world.points(world.volumes[0]).isEmpty)
  }

  @Test("a prepared member whose files are gone keeps nobody from starting")
  func preparedWithoutFiles() throws {
    let world = try World.written(1)
    world.cutBefore = { if case .commitGroup = $0 { true } else { false } }
    #expect(try world.migrate()?.state == .failed)
    world.cutBefore = { _ in false }
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    try world.targetContext.store(pool: "main").discardStaging(of: source)
    #expect(try world.rebootTarget().rolledForward.isEmpty)
    #expect(try world.target.database.read { try PreparedRecord.all($0) }.isEmpty)
    #expect(try world.migrate()?.state == .succeeded)
    try world.check()
  }

  @Test("a power cut while points are pruned leaves no record without files")
  func pruning() throws {
    for operations in 0...12 {
      let world = try World.written(1)
      for _ in 1...3 {
        #expect(try world.migrate()?.state == .succeeded)
        try world.live(steps: 1)
      }
      let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
      var context = world.targetContext
      context.configuration.retention = RetentionPolicy(keepLast: 1, floor: 1)
      world.target.disk.gate.stopAfter(operations)
      RetentionRun(context: context).prune(source)
      #expect(try world.rebootTarget().missing.isEmpty, "after \(operations) operations")
      #expect(try !world.points(world.volumes[0]).isEmpty)
    }
  }
}
