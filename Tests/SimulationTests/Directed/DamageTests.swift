import BlockDiff
import GRDB
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// Damage belongs to blocks, and images share them: no point is listed as sealed whose bytes may not be what was sealed.
@Suite struct DamageTests: DamageSuite {
  // MARK: What shares the block

  @Test("what is found damaged in one point makes every other one doubtful there, at once and until it was read")
  func neighbours() throws {
    let world = try Self.world(points: 3)
    let newest = try #require(try Self.points(world).first)
    try Self.rot(world, newest, segment: 1)
    try Self.verify(world, newest)
    #expect(try Self.states(world) == [.suspect, .suspect, .suspect])
    #expect(try Self.points(world).map(\.damaged) == [[1], [], []])
    #expect(try Self.points(world).dropFirst().allSatisfy { $0.doubtful == SegmentSet([1]) })
    try Self.read(world)
    #expect(try Self.points(world).map(\.damaged) == [[1], [1], [1]])
  }

  @Test("a point that does not share the block is sealed again as soon as it was read there")
  func notShared() throws {
    let world = try Self.world()
    try Self.cycle(world, segment: 1)
    let newest = try #require(try Self.points(world).first)
    try Self.rot(world, newest, segment: 1, at: 0)
    try Self.verify(world, newest)
    #expect(try Self.states(world) == [.suspect, .suspect])
    try Self.read(world)
    #expect(try Self.states(world) == [.suspect, .sealed])
    try Self.requireHonest(world)
  }

  @Test("the next Migration does not build on an older point that shares the damage, whether that was read or not")
  func olderBase() throws {
    for isRead in [false, true] {
      let world = try Self.world(points: 2)
      let newest = try #require(try Self.points(world).first)
      try Self.rot(world, newest, segment: 1)
      try Self.verify(world, newest)
      if isRead { try Self.read(world) }
      try Self.cycle(world)
      #expect(world.lastReport?.volumes.first?.changeSource == "full")
      #expect(try Self.points(world).first?.state == .sealed)
      try Self.requireHonest(world)
      try Self.read(world)
      Self.repair(world)
      // The twin of the oldest is gone by now: it stays suspect.
      #expect(try Self.states(world) == [.sealed, .sealed, .suspect])
      try Self.requireHonest(world)
    }
  }

  @Test("a base that is doubtful only in few segments is read when it is wanted, and is a base if they are right")
  func readWhenWanted() throws {
    let world = try Self.world()
    try Self.cycle(world, segment: 1)
    let points = try Self.points(world)
    try Self.rot(world, points[0], segment: 1, at: 0)
    try Self.verify(world, points[0])
    try Self.cycle(world)
    #expect(try Self.points(world).first?.seal.base == points[1].point)
    try Self.requireHonest(world)
  }

  @Test("a repair ends what is held against its point, and nothing of what is held against others")
  func repairOfOne() throws {
    let world = try Self.world(points: 2)
    let points = try Self.points(world)
    try Self.rot(world, points[0], segment: 1)
    try Self.verify(world, points[0])
    Self.repair(world)
    #expect(try Self.states(world) == [.sealed, .suspect])
    try Self.requireHonest(world)
    try Self.read(world)
    #expect(try Self.points(world)[1].damaged == [1])
    Self.repair(world)
    try world.check()
  }

  @Test("damage whose twin is gone keeps no Migration from succeeding")
  func twinGone() throws {
    let world = try Self.world(points: 4)
    let oldest = try #require(try Self.points(world).last)
    try Self.rot(world, oldest, segment: 1)
    try Self.verify(world, oldest)
    try Self.read(world)
    Self.repair(world)
    #expect(try Self.states(world) == [.sealed, .sealed, .suspect, .suspect], "only two twins are kept")
    for _ in 1...2 { try Self.cycle(world) }
    #expect(world.lastReport?.volumes.first?.changeSource == "reflink")
    try Self.requireHonest(world)
  }

  // MARK: Ready clones and staging

  @Test("a ready clone that was made before a repair is of another image: the next point does not inherit the damage")
  func readyClone() throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    try Self.rot(world, first, segment: 1)
    try Self.verify(world, first)
    Self.repair(world)
    #expect(try Self.states(world) == [.sealed])
    try Self.cycle(world)
    #expect(world.lastReport?.volumes.first?.changeSource == "reflink")
    try world.check()
  }

  @Test("a promotion after a repair takes no clone that was made before it")
  func promotion() throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    try Self.rot(world, first, segment: 1)
    try Self.verify(world, first)
    #expect(throws: ReplError.self) { try Self.promote(world, first) }
    Self.repair(world)
    try Self.promote(world, first)
    let live = try #require(try world.target.database.read { try PromotionRecord.find($0, Self.source(world)) })
    #expect(world.target.disk.contents(live.mark.path) == world.model[first.point])
  }

  @Test("staging that was cloned before the damage was seen is not resumed after the repair")
  func resumedStaging() throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    try Self.change(world, 3)
    world.cutBefore = { if case .sealSession = $0 { true } else { false } }
    world.onRequest = { [unowned world] in if case .sealSession = $0 { world.currentRun?.stop() } }
    #expect(try world.migrate() == nil)
    world.cutBefore = { _ in false }
    world.onRequest = { _ in }
    try world.restartService()
    try Self.rot(world, first, segment: 1)
    try Self.verify(world, first)
    Self.repair(world)
    #expect(try Self.states(world) == [.sealed])
    // The same session of the same snapshot on the same base: only the image of the base is another.
    try world.resumeRuns()
    #expect(world.lastReport?.state == .succeeded)
    #expect(try Self.points(world).first?.seal.base == first.point)
    try world.check()
  }

  /// When damage of the base is found while a session builds on it.
  enum Moment: CaseIterable { case seal, commit }

  @Test(
    "damage of a base that is found while a session builds on it reaches the session",
    arguments: Moment.allCases, [false, true])
  func duringASession(moment: Moment, isRepaired: Bool) throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    var isDone = false
    world.onRequest = { [unowned world] request in
      let isNow =
        switch (moment, request) {
        case (.seal, .sealSession), (.commit, .commitGroup): true
        default: false
        }
      guard isNow, !isDone else { return }
      isDone = true
      #expect(throws: Never.self) {
        try Self.rot(world, first, segment: 1)
        try Self.verify(world, first)
        if isRepaired { Self.repair(world) }
      }
    }
    try Self.change(world, 3)
    let state = try world.migrate()?.state
    world.onRequest = { _ in }
    try Self.requireHonest(world, "at once")
    // Found before the seal was answered, the same Migration goes on without the base.
    if moment == .seal { #expect(state == .succeeded, "\(world.lastReport?.reason ?? "")") }
    try Self.read(world)
    Self.repair(world)
    try Self.cycle(world)
    try Self.read(world)
    try world.check()
  }

  @Test("a power cut between proof and record does not make sealed what was staged on a base that was repaired since")
  func adoptedAtStart() throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    let (source, store) = (try Self.source(world), try world.targetContext.store(pool: "main"))
    try Self.change(world, 3)
    world.cutBefore = { if case .commitGroup = $0 { true } else { false } }
    #expect(try world.migrate()?.state == .failed)
    world.cutBefore = { _ in false }
    #expect(try store.preparedPoint(of: source) != nil)
    try world.target.database.write { try $0.execute(sql: "DELETE FROM prepared") }
    try Self.rot(world, first, segment: 1)
    try Self.verify(world, first)
    let repairArea = try RepairArea(of: try store.point(first.point, of: source), in: store)
    let good = try #require(world.model[first.point])
    try Array(good[1 << 20..<2 << 20]).withUnsafeBufferPointer {
      try repairArea.write(UnsafeRawBufferPointer($0), at: 1 << 20)
    }
    #expect(try repairArea.finish(key: world.key, now: world.clock.now()) == nil)
    try world.rebootTarget()
    try Self.requireHonest(world)
    try Self.cycle(world)
    try Self.read(world)
    try Self.requireHonest(world)
  }

  // MARK: Crashes and loss of the database

  @Test("doubt and damage outlive the database: what lies beside the points is applied at the next start")
  func databaseLost() throws {
    let world = try Self.world(points: 2)
    let points = try Self.points(world)
    try Self.rot(world, points[0], segment: 1)
    try Self.verify(world, points[0])
    try world.target.database.write { database in
      try database.execute(sql: "UPDATE point SET state = 'sealed', damaged = NULL, doubtful = NULL, findings = 0")
      try database.execute(sql: "DELETE FROM finding")
    }
    try world.rebootTarget()
    #expect(try Self.states(world) == [.suspect, .suspect])
    try Self.read(world)
    #expect(try Self.points(world).map(\.damaged) == [[1], [1]])
    Self.repair(world)
    try world.check()
    let store = try world.targetContext.store(pool: "main")
    #expect(try store.findings(of: Self.source(world)).isEmpty, "nothing is left of it")
  }

  @Test(
    "a power cut at any change of the disk while a finding is told forgets none that a later start could still need")
  func powerCutAtAFinding() throws {
    let (world, points) = try Self.rotten()
    let start = world.target.disk.gate.changeCount
    try Self.verify(world, points[0])
    let count = world.target.disk.gate.changeCount - start
    #expect(count > 0)
    for operation in 0...count {
      try Self.cutAtAFinding("operation \(operation)", isExpected: operation < count) {
        $0.disk.gate.stopAfter(operation)
      }
    }
  }

  @Test("a power cut right after any record of a finding forgets none")
  func powerCutAtARecord() throws {
    let (world, points) = try Self.rotten()
    let start = world.target.power.commitCount
    try Self.verify(world, points[0])
    let count = world.target.power.commitCount - start
    try #require(count > 0)
    for commits in 1...count {
      try Self.cutAtAFinding("commit \(commits)", isExpected: true) { $0.power.cutAfterCommits(commits) }
    }
  }

  /// Two points that share a rotten block, which nobody has read.
  private static func rotten() throws -> (world: World, points: [CatalogPoint]) {
    let world = try world(points: 2)
    let points = try points(world)
    try rot(world, points[0], segment: 1)
    return (world, points)
  }

  /// A finding that is cut where `arm` says, and the start after it.
  private static func cutAtAFinding(_ place: Comment, isExpected: Bool, arm: (Machine) -> Void) throws {
    let (world, points) = try rotten()
    let source = try source(world)
    arm(world.target)
    let isTold = (try? verify(world, points[0])) != nil
    #expect(world.target.power.isDown == isExpected, place)
    try world.rebootTarget()
    let isKept = try !world.targetContext.store(pool: "main").findings(of: source).isEmpty
    if isTold || isKept { #expect(try states(world) == [.suspect, .suspect], place) }
    try verify(world, points[0])
    try read(world)
    repair(world)
    try world.check()
  }

  @Test("a finding that cannot be read makes everything doubtful, not nothing")
  func unreadableFinding() throws {
    let world = try Self.world()
    let path = world.target.layout.points(of: try Self.source(world)) + "/finding-\(FindingID(high: 1, low: 2))"
    try world.target.disk.writeFileDurably(path, [1, 2, 3])
    try world.rebootTarget()
    #expect(try Self.points(world).map(\.doubtful.count) == [UInt64(Self.segments)])
    try Self.read(world)
    #expect(try Self.states(world) == [.sealed])
  }

  // MARK: Unreadable blocks

  @Test("a base with a block that cannot be read is suspect at once, and the session goes on without it")
  func unreadableBase() throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    let image = try Self.image(world, first)
    let place = Extent(offset: 2 << 20, length: 4096)
    world.target.disk.gate.fail(
      with: ReplError(.io, subject: image, cause: "cannot read 4096 bytes at offset 2097152"), once: false
    ) { $0.kind == .read && $0.path == image && $0.extent?.intersection(place) != nil }
    try Self.cycle(world, segment: 2)
    #expect(try Self.states(world) == [.sealed, .suspect])
    #expect(try Self.points(world)[1].damaged == [2])
    #expect(world.lastReport?.volumes.first?.changeSource == "full")
    try Self.cycle(world)
    #expect(world.lastReport?.volumes.first?.changeSource == "reflink")
    try Self.requireHonest(world)
  }
}
