import BlockDiff
import GRDB
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// Doubt ends by reading, whatever happens meanwhile: it is neither lost nor kept for ever.
@Suite struct DoubtTests: DamageSuite {
  private static let fault = ReplError(.io, subject: "the file", cause: "cannot read: Input/output error")

  /// A point, and a member that is prepared upon it and whose source will come back; it has a block of its own that rots.
  private static func rottenMember() throws -> World {
    let world = try world()
    try change(world, 3)
    world.cutBefore = { if case .commitGroup = $0 { true } else { false } }
    world.onRequest = { [unowned world] in if case .commitGroup = $0 { world.currentRun?.stop() } }
    #expect(try world.migrate() == nil)
    world.cutBefore = { _ in false }
    world.onRequest = { _ in }
    let image = world.target.layout.staging(try source(world)).image
    #expect(world.target.disk.corrupt(image, at: 3 << 20))
    return world
  }

  private static func doubt(_ world: World, _ segments: [UInt64]) throws {
    try DamageBook(context: world.targetContext).doubt(SegmentSet(segments), of: source(world), because: "a test")
  }

  private static func fail(_ disk: SimulatedDisk, _ path: String) {
    disk.gate.fail(with: fault, once: false) { $0.kind == .read && $0.path == path }
  }

  /// The power is cut while the member is read; the source comes back afterwards.
  private static func cutWhileReading(_ place: Comment, arm: (Machine) -> Void) throws {
    let world = try rottenMember()
    try doubt(world, [3])
    arm(world.target)
    try? read(world)
    #expect(world.target.power.isDown, place)
    try world.rebootTarget()
    try requireHonest(world, place)
    try world.resumeRuns()
    try requireHonest(world, place)
    try read(world)
    try requireHonest(world, place)
    try cycle(world)
    #expect(try points(world).first?.state == .sealed, place)
  }

  @Test("a rotten member that is being let go does not come back as a point, wherever the power is cut")
  func memberLetGo() throws {
    let world = try Self.rottenMember()
    try Self.doubt(world, [3])
    let (changes, commits) = (world.target.disk.gate.changeCount, world.target.power.commitCount)
    try Self.read(world)
    let (allChanges, allCommits) = (
      world.target.disk.gate.changeCount - changes, world.target.power.commitCount - commits
    )
    try #require(allChanges > 0 && allCommits > 0)
    for change in 0..<allChanges {
      try Self.cutWhileReading("change \(change)") { $0.disk.gate.stopAfter(change) }
    }
    for commit in 1...allCommits { try Self.cutWhileReading("commit \(commit)") { $0.power.cutAfterCommits(commit) } }
  }

  @Test("what is found in a member that is let go is looked for in the points too")
  func memberAndPoints() throws {
    let world = try Self.rottenMember()
    let first = try #require(try Self.points(world).first)
    try Self.rot(world, first, segment: 1)
    try world.target.database.write {
      try $0.execute(sql: "UPDATE prepared SET doubtful = ?", arguments: [SegmentSet([1]).column])
    }
    try Self.read(world)
    #expect(try Self.points(world).map(\.damaged) == [[1]])
  }

  @Test("a member whose record is lost is doubtful where anything was found")
  func memberWithoutRecord() throws {
    let world = try Self.rottenMember()
    try Self.doubt(world, [3])
    try world.target.database.write { try $0.execute(sql: "DELETE FROM prepared") }
    // The base was read and is right there.
    try Self.read(world)
    try Self.doubt(world, [2])
    try world.rebootTarget()
    try world.resumeRuns()
    try Self.requireHonest(world)
  }

  @Test("a list of damage that is full stands for all from its first segment on")
  func fullList() throws {
    let world = try Self.world()
    var point = try #require(try Self.points(world).first)
    point.seal.size = 10_000 << 20
    point.damaged = Array(100..<100 + UInt64(PointSummary.damageLimit))
    #expect(point.damagedSegments.contains(9_999) && !point.damagedSegments.contains(99))
    point.damaged.removeLast()
    #expect(!point.damagedSegments.contains(9_999))
  }

  @Test("what a reading finds is not held against the point since that reading began")
  func ownFinding() throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    try Self.rot(world, first, segment: 1)
    try Self.doubt(world, [1, 2])
    try Self.verify(world, first)
    let now = try #require(try Self.points(world).first)
    #expect(now.damaged == [1])
    #expect(now.doubtful.isEmpty, "all of it was read")
  }

  @Test("a base whose seal cannot be read keeps no agent from starting, and nothing staged on it becomes a point")
  func baseSealUnreadable() throws {
    let world = try Self.rottenMember()
    let first = try #require(try Self.points(world).first)
    try world.target.database.write { try $0.execute(sql: "DELETE FROM prepared") }
    Self.fail(world.target.disk, world.target.layout.point(try Self.source(world), first.point).seal)
    try world.rebootTarget()
    #expect(try world.target.database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM prepared") } == 0)
  }

  @Test("a doubtful point whose own files cannot be read is suspect, and others of its volume go by the policy")
  func filesUnreadable() throws {
    let world = try Self.world(points: 4)
    let points = try Self.points(world)
    try Self.doubt(world, [1])
    Self.fail(
      world.target.disk, world.target.layout.point(try Self.source(world), points[1].point).segments)
    try Self.read(world)
    let now = try Self.points(world)
    #expect(now.map(\.state) == [.sealed, .suspect, .sealed, .sealed])
    #expect(now.flatMap(\.doubtful.runs).isEmpty)
    var context = world.targetContext
    context.configuration.retention = RetentionPolicy(keepLast: 2, floor: 1)
    RetentionRun(context: context).prune(try Self.source(world))
    #expect(try Self.points(world).count < 4)
  }

  @Test("doubtful points stay and do not count; the others go by the policy")
  func doubtfulStay() throws {
    let world = try Self.world(points: 5)
    let points = try Self.points(world)
    try world.target.database.write {
      try $0.execute(
        sql: "UPDATE point SET doubtful = ?, findings = findings + 1 WHERE point = ?",
        arguments: [SegmentSet([1]).column, points[4].point])
    }
    var context = world.targetContext
    context.configuration.retention = RetentionPolicy(keepLast: 2, floor: 1)
    RetentionRun(context: context).prune(try Self.source(world))
    #expect(try Self.points(world).map(\.point) == [points[0].point, points[1].point, points[4].point])
  }

  @Test("a member that cannot be looked at is left for later, once")
  func memberOutOfSight() throws {
    let world = try Self.rottenMember()
    try Self.doubt(world, [3])
    let seal = world.target.layout.staging(try Self.source(world)).seal
    try world.target.disk.setImmutable(seal, false)
    try world.target.disk.removeFile(seal)
    var reads = 0
    try DoubtReader(context: world.targetContext).run { (_) in reads += 1 }
    #expect(reads <= 1, "the point alone")
  }

  @Test(
    "rows that cannot be read let no snapshot go, at this start or a later one", arguments: ["liveVolume", "snapshot"])
  func unreadableRows(table: String) throws {
    let world = try Self.world(points: 2)
    let twins = try world.twins()
    try world.source.database.write { database in
      try database.execute(sql: "UPDATE \(table) SET size = 'rubbish'")
      #expect(try !UnreadableRows.setAside(database, at: world.clock.now()).isEmpty)
    }
    for _ in 1...2 {
      let skipped = try SnapshotKeeper(context: world.sourceContext).sweep()
      for twin in twins {
        #expect(try world.source.disk.exists(twin.imagePath))
        #expect(skipped.contains { $0.path == twin.directory })
      }
    }
    try world.source.database.write { try $0.execute(sql: "DELETE FROM unreadable") }
    _ = try SnapshotKeeper(context: world.sourceContext).sweep()
    for twin in twins { #expect(try !world.source.disk.exists(twin.imagePath), "somebody has looked") }
  }

  @Test("a promoted volume keeps its points although the record of its promotion cannot be read")
  func unreadablePromotion() throws {
    let world = try Self.world(points: 3)
    let points = try Self.points(world)
    try Self.promote(world, points[0])
    try world.target.database.write { try $0.execute(sql: "DELETE FROM promotion") }
    var context = world.targetContext
    context.configuration.retention = RetentionPolicy(keepLast: 1, floor: 1)
    RetentionRun(context: context).prune(try Self.source(world))
    #expect(try Self.points(world).count == 3)
    let isGone = try world.target.database.write { try points[2].delete($0) }
    #expect(!isGone)
  }
}
