import AgentService
import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// What the target learns of a volume outside of sessions.
@Suite struct NoticeTests {
  private static func tell(_ world: World) throws {
    try NoticeSender(context: world.sourceContext).send(over: SimulatedLink(world))
  }

  private static func notices(_ world: World) throws -> Int {
    try world.source.database.read { try NoticeRecord.all($0, peer: "target") }.count
  }

  /// A volume with a full point and two deltas; the second delta's twin is damaged at the source and scrubbed.
  private static func doubtedWorld(scrubFirst: Bool) throws -> World {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    world.clock.advance(seconds: 60)
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
    if scrubFirst {
      let clean = try #require(try world.twins().first)
      try TwinScrub(context: world.sourceContext).run(clean, pace: { (_) in })
    }
    world.clock.advance(seconds: 60)
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
    let twin = try #require(try world.twins().first)
    #expect(world.source.disk.corrupt(twin.imagePath, at: 300_000))
    try TwinScrub(context: world.sourceContext).run(twin, pace: { (_) in })
    return world
  }

  @Test("points made since the last clean scrub are suspect after a missed change, those with a full proof are not")
  func doubted() throws {
    let world = try Self.doubtedWorld(scrubFirst: false)
    #expect(try Self.notices(world) == 1)
    try Self.tell(world)
    #expect(try Self.notices(world) == 0)
    let points = try world.points(world.volumes[0])
    #expect(points.map(\.state) == [.suspect, .suspect, .sealed])
    #expect(points.map(\.seal.proof) == [.delta, .delta, .full])
    #expect(points[0].doubt?.contains("a scrub found") == true)
  }

  @Test("a clean scrub bounds the doubt")
  func bounded() throws {
    let world = try Self.doubtedWorld(scrubFirst: true)
    try Self.tell(world)
    #expect(try world.points(world.volumes[0]).map(\.state) == [.suspect, .sealed, .sealed])
  }

  @Test("reading a doubted point at the target does not clear it")
  func readingIsNoProof() throws {
    let world = try Self.doubtedWorld(scrubFirst: false)
    try Self.tell(world)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    let newest = try #require(try world.points(world.volumes[0]).first)
    let reply = try PointVerifier(context: world.targetContext).verify(source, newest.point, quick: false)
    #expect(reply.computed == newest.seal.fingerprint)
    #expect(reply.state == .suspect)
  }

  @Test("the next session builds on nothing doubted, ships what differs, and ends with a full proof")
  func nextSession() throws {
    let world = try Self.doubtedWorld(scrubFirst: false)
    try Self.tell(world)
    try world.live(steps: 1)
    let before = world.shippedBytes
    #expect(try world.migrate()?.state == .succeeded)
    let newest = try #require(try world.points(world.volumes[0]).first)
    #expect(newest.state == .sealed)
    #expect(newest.seal.proof == .full)
    #expect(world.lastReport?.volumes.first?.changeSource == "compare")
    #expect(world.shippedBytes - before < 3 << 19)
  }

  @Test(
    "a delta whose base became suspect while it was shipped does not become a point; the next one is proven in full")
  func inFlight() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let base = try #require(try world.points(world.volumes[0]).first)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    world.onRequest = { request in
      guard case .commitGroup = request else { return }
      try? DamageBook(context: world.targetContext).suspect(base.point, of: source, because: "of this test")
    }
    try world.live(steps: 1)
    #expect(try world.migrate()?.state != .succeeded)
    #expect(try world.points(world.volumes[0]).map(\.state) == [.suspect])

    world.onRequest = { _ in }
    #expect(try world.migrate()?.state == .succeeded)
    let newest = try #require(try world.points(world.volumes[0]).first)
    #expect(newest.state == .sealed)
    #expect(newest.seal.proof == .full)
  }

  @Test("a notice is kept until the target has answered it")
  func keptUntilAnswered() throws {
    let world = try Self.doubtedWorld(scrubFirst: false)
    world.cutAfter = { if case .volumeNotice = $0 { true } else { false } }
    #expect(throws: ReplError.self) { try Self.tell(world) }
    #expect(try Self.notices(world) == 1)
    world.cutAfter = { _ in false }
    try Self.tell(world)
    #expect(try Self.notices(world) == 0)
  }

  @Test("the points of a volume deleted at its source are orphaned, and go after thirty days of the agent's running")
  func orphaned() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    try world.source.database.write { try NoticeRecord.tell($0, of: world.volumes[0].id) { _ in .deleted } }
    try Self.tell(world)
    let retention = RetentionRun(context: world.targetContext)
    #expect(try world.points(world.volumes[0]).map(\.state) == [.orphaned])
    for _ in 1...29 { retention.pruneAll(elapsed: 86400) }
    #expect(try world.points(world.volumes[0]).count == 1)
    // However far the wall clock goes.
    world.clock.advance(seconds: 365 * 86400)
    retention.pruneAll(elapsed: 600)
    #expect(try world.points(world.volumes[0]).count == 1)
    retention.pruneAll(elapsed: 86400)
    #expect(try world.points(world.volumes[0]).isEmpty)
    #expect(try world.target.database.read { try Replica.held($0) }.isEmpty)
  }

  /// Whether anything is staged of the first volume.
  private static func isStaged(_ world: World) throws -> Bool {
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    return try world.target.disk.exists(world.target.layout.staging(source).directory)
  }

  @Test("what a broken session staged goes with the notice that the volume is deleted, said once or twice")
  func stagingOfDeleted() throws {
    let world = try World.written(1)
    world.cutBefore = { if case .sealSession = $0 { true } else { false } }
    #expect(try world.migrate()?.state == .failed)
    try world.rebootTarget()
    #expect(try Self.isStaged(world), "it might be resumed")
    world.cutAfter = { if case .volumeNotice = $0 { true } else { false } }
    try world.source.database.write { try NoticeRecord.tell($0, of: world.volumes[0].id) { _ in .deleted } }
    #expect(throws: ReplError.self) { try Self.tell(world) }
    #expect(try !Self.isStaged(world))
    world.cutAfter = { _ in false }
    try Self.tell(world)
    #expect(try Self.notices(world) == 0)
    try world.rebootTarget()
    #expect(try !Self.isStaged(world))
  }

  @Test("a member that was prepared of a deleted volume is let go, and no start makes it a point")
  func preparedOfDeleted() throws {
    let world = try World.written(1)
    world.cutBefore = { if case .commitGroup = $0 { true } else { false } }
    #expect(try world.migrate()?.state == .failed)
    try world.source.database.write { try NoticeRecord.tell($0, of: world.volumes[0].id) { _ in .deleted } }
    try Self.tell(world)
    #expect(try world.target.database.read { try PreparedRecord.all($0) }.isEmpty)
    #expect(try !Self.isStaged(world))
    try world.rebootTarget()
    #expect(try world.points(world.volumes[0]).isEmpty)
  }

  @Test("a start makes up for a crash between the record that a volume is deleted and the end of its staging")
  func stagingAtStart() throws {
    for request in [RunStage.seal, .commit] {
      let world = try World.written(1)
      world.cutBefore = {
        switch $0 {
        case .sealSession: request == .seal
        case .commitGroup: request == .commit
        default: false
        }
      }
      #expect(try world.migrate()?.state == .failed)
      try world.target.database.write {
        try Replica.orphan(
          $0, cluster: "source", volume: world.volumes[0].id, at: Timestamp(nanoseconds: 1))
      }
      #expect(try Self.isStaged(world))
      try world.rebootTarget()
      #expect(try !Self.isStaged(world))
      #expect(try world.points(world.volumes[0]).isEmpty)
    }
  }

  @Test("a source that has the volume after all gets its points back")
  func adopted() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    try world.source.database.write { try NoticeRecord.tell($0, of: world.volumes[0].id) { _ in .deleted } }
    try Self.tell(world)
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try world.points(world.volumes[0]).map(\.state) == [.sealed, .sealed])
    #expect(world.lastReport?.volumes.first?.changeSource == "reflink")
    try world.check()
  }

  @Test("damage that reading finds makes a point suspect, and names its segments")
  func damage() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let point = try #require(try world.points(world.volumes[0]).first)
    let source = try SourceVolume(cluster: "source", volume: point.volume)
    let verifier = PointVerifier(context: world.targetContext)
    #expect(try verifier.verify(source, point.point, quick: false).state == .sealed)
    #expect(world.target.disk.corrupt(world.target.layout.point(source, point.point).image, at: 300_000))
    let reply = try verifier.verify(source, point.point, quick: false)
    #expect(reply.state == .suspect)
    #expect(reply.damagedSegments == [0])
    let noted = try #require(try world.points(world.volumes[0]).first)
    #expect(noted.state == .suspect)
    #expect(noted.damaged == [0])
  }
}
