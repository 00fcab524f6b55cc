import BlockDiff
import GRDB
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// Damage belongs to blocks, and images share them: no point is listed as sealed whose bytes may not be what was sealed.
@Suite struct DamageTests {
  /// Whole megabytes of the volume.
  private static let segments = 4

  /// A volume that is written all over, and its first point.
  private static func world(points: Int = 1, seed: UInt64 = 5) throws -> World {
    let world = try World(seed: seed, volumeCount: 1, size: UInt64(segments) << 20)
    try world.write(world.volumes[0], BytePattern.random(count: segments << 20, using: &world.generator), at: 0)
    #expect(try world.migrate()?.state == .succeeded)
    for _ in 1..<max(points, 1) { try cycle(world) }
    return world
  }

  /// A new point; a block of the segment changes.
  private static func cycle(_ world: World, segment: UInt64 = 3) throws {
    try change(world, segment)
    #expect(try world.migrate()?.state == .succeeded, "\(world.lastReport?.reason ?? "")")
  }

  private static func change(_ world: World, _ segment: UInt64) throws {
    try world.write(world.volumes[0], BytePattern.random(count: 4096, using: &world.generator), at: segment << 20)
  }

  private static func source(_ world: World) throws -> SourceVolume {
    try SourceVolume(cluster: "source", volume: world.volumes[0].id)
  }

  private static func image(_ world: World, _ point: CatalogPoint) throws -> String {
    world.target.layout.point(try source(world), point.point).image
  }

  /// Newest first.
  private static func points(_ world: World) throws -> [CatalogPoint] { try world.points(world.volumes[0]) }
  private static func states(_ world: World) throws -> [PointState] { try points(world).map(\.state) }

  /// Rot of a block under everything that shares it.
  private static func rot(_ world: World, _ point: CatalogPoint, segment: UInt64, at place: UInt64 = 65_536) throws {
    #expect(world.target.disk.corrupt(try image(world, point), at: segment << 20 + place))
  }

  @discardableResult
  private static func verify(_ world: World, _ point: CatalogPoint) throws -> VerifyReply {
    try PointVerifier(context: world.targetContext).verify(source(world), point.point, quick: false)
  }

  private static func promote(_ world: World, _ point: CatalogPoint) throws(ReplError) {
    try world.service.promote([
      WantedPromotion(source: try SourceVolume(cluster: "source", volume: point.volume), point: point.point)
    ])
  }

  private static func read(_ world: World) throws {
    try DoubtReader(context: world.targetContext).run(pace: { (_) in })
  }
  private static func repair(_ world: World) {
    RepairRun(context: world.sourceContext, link: SimulatedLink(world)).run()
  }

  /// Every point that is listed as sealed is its snapshot.
  private static func requireHonest(_ world: World, _ place: Comment = "") throws {
    for point in try points(world) where point.state == .sealed {
      #expect(world.target.disk.contents(try image(world, point)) == world.model[point.point], place)
    }
  }

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
    #expect(try world.migrate()?.state == .failed)
    world.cutBefore = { _ in false }
    try Self.rot(world, first, segment: 1)
    try Self.verify(world, first)
    Self.repair(world)
    #expect(try Self.states(world) == [.sealed])
    try Self.cycle(world)
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

  // MARK: What takes long writes back only what it owns

  @Test("what is recorded of a point while it is read for hours stays: doubt, suspicion, confirmation, orphaning")
  func meanwhile() throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    let source = try Self.source(world)
    try world.target.database.write { try $0.execute(sql: "UPDATE point SET confirmed = 0") }
    var isDone = false
    let pace: Pace = { [unowned world] (_) throws(ReplError) in
      guard !isDone else { return }
      isDone = true
      let book = DamageBook(context: world.targetContext)
      try book.doubt(SegmentSet([2]), of: source, because: "found elsewhere")
      try book.doubtSealed([first.point], of: source, because: "the source missed a change")
      try world.target.database.write { database in
        _ = try CatalogPoint.confirm(database, cluster: "source", point: first.point)
        try TargetVolumeRecord.orphan(
          database, cluster: "source", volume: source.volume, at: Timestamp(nanoseconds: 1))
      }
    }
    _ = try PointVerifier(context: world.targetContext).verify(source, first.point, quick: false, pace: pace)
    let now = try #require(try Self.points(world).first)
    #expect(now.doubtful == SegmentSet([2]))
    #expect(now.doubt == "the source missed a change")
    #expect(now.confirmed)
    let volume = try world.target.database.read {
      try TargetVolumeRecord.find($0, cluster: "source", volume: source.volume)
    }
    #expect(volume?.deletedAt != nil)
    #expect(now.state == .suspect)
  }

  @Test("a promotion that is recorded while a point is read stays")
  func promotedMeanwhile() throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    let source = try Self.source(world)
    var isDone = false
    let pace: Pace = { [unowned world] (_) throws(ReplError) in
      guard !isDone else { return }
      isDone = true
      try Self.promote(world, first)
    }
    _ = try PointVerifier(context: world.targetContext).verify(source, first.point, quick: false, pace: pace)
    #expect(try Self.states(world) == [.promoted])
  }

  @Test("a reading that began before a repair says nothing of the repaired point")
  func repairedMeanwhile() throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    try Self.rot(world, first, segment: 1)
    try Self.verify(world, first)
    var isDone = false
    let pace: Pace = { [unowned world] (_) throws(ReplError) in
      guard !isDone else { return }
      isDone = true
      Self.repair(world)
    }
    _ = try PointVerifier(context: world.targetContext).verify(
      Self.source(world), first.point, quick: false, pace: pace)
    #expect(try Self.points(world).map(\.damaged) == [[]])
    try Self.read(world)
    #expect(try Self.states(world) == [.sealed])
  }

  @Test("a doubt that is raised again while a segment is read is not settled by that reading")
  func doubtedAgain() throws {
    let world = try Self.world()
    let source = try Self.source(world)
    let book = DamageBook(context: world.targetContext)
    try book.doubt(SegmentSet([1]), of: source, because: "found elsewhere")
    var rounds = 0
    try DoubtReader(context: world.targetContext).run { (_) throws(ReplError) in
      rounds += 1
      if rounds == 1 { try book.doubt(SegmentSet([1]), of: source, because: "found again") }
    }
    #expect(rounds > 1, "it was read once more")
    #expect(try Self.states(world) == [.sealed])
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

  @Test("a power cut at any moment of a finding forgets none that a later start could still need")
  func powerCutAtAFinding() throws {
    for operation in 0..<12 {
      let world = try Self.world(points: 2)
      let points = try Self.points(world)
      try Self.rot(world, points[0], segment: 1)
      world.target.disk.gate.stopAfter(operation)
      let isTold = (try? Self.verify(world, points[0])) != nil
      try world.rebootTarget()
      if isTold { #expect(try Self.states(world) == [.suspect, .suspect]) }
      try Self.verify(world, points[0])
      try Self.read(world)
      Self.repair(world)
      try world.check()
    }
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

  // MARK: Scrub

  @Test("the scrub reads suspect points again: one whose reason is gone is sealed")
  func suspectIsReadAgain() throws {
    let world = try Self.world(points: 2)
    let points = try Self.points(world)
    let scrub = TargetScrub(context: world.targetContext)
    try DamageBook(context: world.targetContext).suspect(
      points[1].point, of: Self.source(world), because: "it was touched")
    #expect(try Self.states(world) == [.sealed, .suspect])
    #expect(try scrub.suspect(pace: { (_) in }))
    #expect(try Self.states(world) == [.sealed, .sealed])
    #expect(try !scrub.suspect(pace: { (_) in }))
  }

  @Test("a point whose bytes are wrong is read once in the period, and stays suspect")
  func suspectStays() throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    try Self.rot(world, first, segment: 1)
    try Self.verify(world, first)
    let scrub = TargetScrub(context: world.targetContext)
    #expect(try !scrub.suspect(pace: { (_) in }), "it was read just now")
    world.clock.advance(seconds: 8 * 86_400)
    #expect(try scrub.suspect(pace: { (_) in }))
    #expect(try !scrub.suspect(pace: { (_) in }))
    #expect(try Self.points(world).map(\.damaged) == [[1]])
  }

  // MARK: One does not stop the others

  @Test("a clean scrub of one peer's twin does not clear what was found for another's")
  func distrustPerPeer() throws {
    let world = try Self.world()
    let volume = world.volumes[0].id
    let twin = try #require(try world.twins().first)
    try world.source.database.write { database in
      try database.execute(
        sql: """
          INSERT INTO snapshot SELECT 'ffffffffffffffffffffffffffffffff', volume, 'other', 99, size, takenAt, consistency,
            stallNanoseconds, directory, hasImage, state, seal, scrubbedAt FROM snapshot WHERE point = ?
          """, arguments: [twin.point])
      try VolumeRecord.distrust(database, volume, peer: "other", because: "a scrub found 1 segment")
    }
    let scrub = TwinScrub(context: world.sourceContext)
    let reason = { try world.source.database.read { try VolumeRecord.find($0, volume)?.distrustReason } }
    #expect(try scrub.run(twin, pace: { (_) in }))
    #expect(try reason() == "a scrub found 1 segment")
    // Its own twin is clean again, or it has none any more.
    try world.source.database.write { try $0.execute(sql: "DELETE FROM snapshot WHERE peer = 'other'") }
    #expect(try scrub.run(twin, pace: { (_) in }))
    #expect(try reason() == nil)
  }

  @Test("what is found while a twin is scrubbed is not cleared by that scrub")
  func distrustMeanwhile() throws {
    let world = try Self.world()
    let volume = world.volumes[0].id
    let twin = try #require(try world.twins().first)
    try world.source.database.write { try VolumeRecord.distrust($0, volume, peer: "target", because: "first") }
    var isDone = false
    let pace: Pace = { [unowned world] (_) throws(ReplError) in
      guard !isDone else { return }
      isDone = true
      try world.source.database.write { try VolumeRecord.distrust($0, volume, peer: "target", because: "second") }
    }
    let isClean = try TwinScrub(context: world.sourceContext).run(twin, pace: pace)
    #expect(isClean)
    #expect(try world.source.database.read { try VolumeRecord.find($0, volume)?.distrustReason } == "second")
  }

  @Test("a volume that is refused does not end the repairs of the others")
  func repairRound() throws {
    let world = try World.written(3)
    #expect(try world.migrate()?.state == .succeeded)
    for volume in world.volumes {
      let point = try #require(try world.points(volume).first)
      let source = try SourceVolume(cluster: "source", volume: volume.id)
      #expect(world.target.disk.corrupt(world.target.layout.point(source, point.point).image, at: 300_000))
      _ = try PointVerifier(context: world.targetContext).verify(source, point.point, quick: false)
    }
    try world.target.database.write {
      try TargetVolumeRecord.setRole(
        $0, SourceVolume(cluster: "source", volume: world.volumes[0].id), .promoted)
    }
    Self.repair(world)
    #expect(try world.volumes.map { try world.points($0)[0].state } == [.suspect, .sealed, .sealed])
  }

  @Test("one image that is gone does not keep a pool from getting room")
  func spaceRelief() throws {
    let world = try World.written(2)
    #expect(try world.migrate()?.state == .succeeded)
    for index in 0..<2 { try world.write(world.volumes[index], [UInt8](repeating: 7, count: 1 << 20), at: 0) }
    let twins = try world.volumes.map { volume in
      try #require(
        try world.source.database.read { try SnapshotRecord.all($0, volume: volume.id, peer: "target") }.first)
    }
    try world.source.disk.setImmutable(twins[0].imagePath, false)
    try world.source.disk.removeFile(twins[0].imagePath)
    world.source.disk.capacity = 1 << 40
    let space = try world.source.disk.space(at: "/pool")
    world.source.disk.capacity = space.total - space.available + 1
    try SpaceKeeper(context: world.sourceContext).relieve(try #require(world.source.pools.entries.first))
    let left = try twins.map { twin in
      try world.source.database.read { try SnapshotRecord.find($0, twin.point)?.hasImage }
    }
    #expect(left == [false, false])
    #expect(try !world.source.disk.exists(twins[1].imagePath))
  }
}
