import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

extension TargetService {
  fileprivate func promote(_ source: SourceVolume, point: PointID) throws(ReplError) {
    try promote([WantedPromotion(source: source, point: point)])
  }
}

/// A point of a volume becomes the live file, whatever happens meanwhile.
@Suite struct PromotionTests {
  /// Two sealed points of one volume; the newest is to be promoted.
  private static func sealed(_ seed: UInt64 = 1) throws -> (World, SourceVolume, CatalogPoint) {
    let world = try World.written(1, seed: seed)
    #expect(try world.migrate()?.state == .succeeded)
    try world.live(steps: 3)
    #expect(try world.migrate()?.state == .succeeded)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    return (world, source, try #require(try world.points(world.volumes[0]).first))
  }

  private static func livePath(_ world: World, _ source: SourceVolume) -> String {
    world.target.layout.live(source, namespace: "app", name: world.volumes[0].name)
  }

  private static func role(_ world: World, _ source: SourceVolume) throws -> VolumeRole? {
    try world.target.database.read {
      try Replica.find($0, cluster: source.cluster, volume: source.volume)
    }?.role
  }

  private static func state(_ world: World, _ point: CatalogPoint) throws -> PointState? {
    try world.points(world.volumes[0]).first { $0.point == point.point }?.state
  }

  private static func isLive(_ world: World, _ source: SourceVolume, _ point: CatalogPoint) throws -> Bool {
    let bytes = try #require(world.target.disk.contents(livePath(world, source)))
    let snapshot = try #require(world.model[point.point])
    let record = try world.target.database.read { try PromotionRecord.find($0, source) }
    return BytePattern.areEqual(bytes[...], snapshot[...]) && record?.mark.isLive == true
  }

  @Test("the live file is the point's bytes, made of the ready clone by a rename")
  func promote() throws {
    let (world, source, point) = try Self.sealed()
    let store = try world.targetContext.store(pool: "main")
    #expect(try store.readyClone(for: source)?.point == point.point)
    try world.service.promote(source, point: point.point)
    #expect(try Self.isLive(world, source, point))
    #expect(try Self.role(world, source) == .promoted)
    #expect(try Self.state(world, point) == .promoted)
    #expect(try store.readyClone(for: source) == nil)
    // Again, and after a power cut: nothing changes.
    try world.service.promote(source, point: point.point)
    #expect(try world.rebootTarget().unfinished.isEmpty)
    #expect(try Self.isLive(world, source, point))
  }

  @Test("an older point is promoted by a clone of its own, and is the only one")
  func olderPoint() throws {
    let (world, source, newest) = try Self.sealed()
    let older = try #require(try world.points(world.volumes[0]).last)
    #expect(older.point != newest.point)
    try world.service.promote(source, point: older.point)
    #expect(try Self.isLive(world, source, older))
    let error = #expect(throws: ReplError.self) { try world.service.promote(source, point: newest.point) }
    #expect(error?.kind == .refused)
    #expect(try Self.isLive(world, source, older))
  }

  @Test("a check says what a promotion would be refused with, and changes nothing")
  func check() throws {
    let (world, source, point) = try Self.sealed()
    try world.service.checkPromotion(source, point: point.point)
    #expect(try Self.role(world, source) == .target)
    #expect(try world.target.database.read { try PromotionRecord.find($0, source) } == nil)
    #expect(world.target.disk.contents(Self.livePath(world, source)) == nil)
    #expect(throws: ReplError.self) { try world.service.checkPromotion(source, point: .random()) }
    try world.service.promote(source, point: point.point)
    try world.service.checkPromotion(source, point: point.point)
    let older = try #require(try world.points(world.volumes[0]).last)
    let error = #expect(throws: ReplError.self) { try world.service.checkPromotion(source, point: older.point) }
    #expect(error?.kind == .refused)
  }

  @Test("a later session is refused with site and time, though nothing has the file open")
  func laterSession() throws {
    let (world, source, point) = try Self.sealed()
    let now = world.clock.now()
    try world.service.promote(source, point: point.point)
    try world.live(steps: 1)
    let report = try #require(try world.migrate())
    #expect(report.state == .failed)
    #expect(report.volumes[0].reason.contains("volume in use: promoted at target at \(now.rfc3339Seconds)"))
    #expect(try Self.isLive(world, source, point))
  }

  @Test("a session that is under way ends, and its streams with it")
  func runningSession() throws {
    let (world, source, point) = try Self.sealed()
    var promoted = false
    world.onRequest = { request in
      guard case .startSession = request, !promoted else { return }
      promoted = true
      try? world.service.promote(source, point: point.point)
    }
    try world.live(steps: 2)
    #expect(try world.migrate()?.state == .failed)
    #expect(promoted)
    #expect(try Self.isLive(world, source, point))
    #expect(try world.points(world.volumes[0]).count == 2)
  }

  @Test("what people write into the live file stays there, and no point changes")
  func liveFileIsIndependent() throws {
    let (world, source, point) = try Self.sealed()
    try world.service.promote(source, point: point.point)
    let path = Self.livePath(world, source)
    let file = try world.target.disk.open(path, .readWrite)
    let bytes = [UInt8](repeating: 0xAB, count: 4096)
    try bytes.withUnsafeBytes { try file.write($0, at: 0) }
    try file.synchronize()
    try file.close()
    _ = try world.migrate()
    try world.rebootTarget()
    #expect(world.target.disk.contents(path).map { Array($0.prefix(4096)) } == bytes)
    let image = world.target.layout.point(source, point.point).image
    #expect(world.target.disk.contents(image) == world.model[point.point])
  }

  @Test("no point of a promoted volume is pruned")
  func retention() throws {
    let (world, source, _) = try Self.sealed()
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
    let newest = try #require(try world.points(world.volumes[0]).first)
    try world.service.promote(source, point: newest.point)
    var context = world.targetContext
    context.configuration.retention = RetentionPolicy(keepLast: 1, floor: 1)
    RetentionRun(context: context).prune(source)
    #expect(
      RetentionRun(context: context).dropOldestAboveFloor(of: [source], in: "main", because: "pool main is full") == nil
    )
    #expect(try world.points(world.volumes[0]).count == 3, "neither the promoted one nor the base nor any other")
  }

  @Test("points that are suspect, unknown or touched are not promoted, and the volume stays a target")
  func refused() throws {
    let (world, source, point) = try Self.sealed()
    #expect(throws: ReplError.self) { try world.service.promote(source, point: PointID(high: 9, low: 9)) }
    try DamageBook(context: world.targetContext).suspect(point.point, of: source, because: "of this test")
    #expect(throws: ReplError.self) { try world.service.promote(source, point: point.point) }
    let other = try SourceVolume(cluster: "elsewhere", volume: source.volume)
    let error = #expect(throws: ReplError.self) { try world.service.promote(other, point: point.point) }
    #expect(error?.kind == .notFound)
    let older = try #require(try world.points(world.volumes[0]).last)
    #expect(world.target.disk.tamper(world.target.layout.point(source, older.point).image, at: 5000, [1]))
    let touched = #expect(throws: ReplError.self) { try world.service.promote(source, point: older.point) }
    #expect(touched?.kind == .refused)
    #expect(try Self.role(world, source) == .target)
    #expect(world.target.disk.contents(Self.livePath(world, source)) == nil)
  }

  @Test("a file that is there already is not overwritten")
  func pathTaken() throws {
    let (world, source, point) = try Self.sealed()
    let path = Self.livePath(world, source)
    try world.target.disk.makeDirectory("/pool/volumes")
    try world.target.disk.makeDirectory("/pool/volumes/app")
    try world.target.disk.open(path, .createNew).close()
    let error = #expect(throws: ReplError.self) { try world.service.promote(source, point: point.point) }
    #expect(error?.kind == .exists)
    #expect(world.target.disk.contents(path)?.isEmpty == true)
    #expect(try Self.role(world, source) == .target)
  }

  @Test("a power cut at any change of the disk leaves a target, or a promotion that start-up finishes")
  func powerCutAtAnyOperation() throws {
    var finished = 0
    for operations in 0... {
      let (world, source, point) = try Self.sealed(UInt64(operations + 1))
      world.target.disk.gate.stopAfter(operations)
      let wasCut = (try? world.service.promote(source, point: point.point)) == nil
      let report = try world.rebootTarget()
      #expect(report.unfinished.isEmpty)
      switch try Self.role(world, source) {
      case .promoted:
        finished += 1
        #expect(try Self.isLive(world, source, point), "after \(operations) operations")
        #expect(try Self.state(world, point) == .promoted)
      case .target: #expect(world.target.disk.contents(Self.livePath(world, source)) == nil)
      default: Issue.record("a role that no step of a promotion makes")
      }
      guard wasCut else { break }
      // Whatever was left, asking again ends in the same.
      try world.service.promote(source, point: point.point)
      #expect(try Self.isLive(world, source, point))
      #expect(operations < 200)
    }
    #expect(finished > 3)
  }

  @Test("a power cut right after any commit leaves the same", arguments: 1...2)
  func powerCutAfterCommit(commits: Int) throws {
    let (world, source, point) = try Self.sealed()
    world.target.power.cutAfterCommits(commits)
    _ = try? world.service.promote(source, point: point.point)
    #expect(try world.rebootTarget().unfinished.isEmpty)
    #expect(try Self.role(world, source) == .promoted)
    #expect(try Self.isLive(world, source, point))
    let reply = world.service.handle(
      .queryPoint(QueryPoint(volume: source.volume, point: point.point)), from: "source")
    #expect(reply == .queryPoint(.sealed(point.seal, state: .promoted)))
  }

  @Test("a full disk takes the intent back: the volume goes on as a target")
  func noSpace() throws {
    let (world, source, newest) = try Self.sealed()
    let older = try #require(try world.points(world.volumes[0]).last)
    world.target.disk.gate.fail(with: ReplError(.noSpace, subject: "disk", cause: "is full")) { $0.kind == .clone }
    let error = #expect(throws: ReplError.self) { try world.service.promote(source, point: older.point) }
    #expect(error?.kind == .noSpace)
    #expect(try Self.role(world, source) == .target)
    #expect(try world.targetContext.store(pool: "main").promotionMark(of: source) == nil)
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try world.points(world.volumes[0]).count == 3 && newest.state == .sealed)
    try world.check()
  }

  /// Three volumes of one group, and the points that are to go live.
  private static func group(_ seed: UInt64 = 1) throws -> (World, [WantedPromotion]) {
    let world = try World.written(3, seed: seed)
    #expect(try world.migrate()?.state == .succeeded)
    let wanted = try world.volumes.map { volume in
      WantedPromotion(
        source: try SourceVolume(cluster: "source", volume: volume.id),
        point: try #require(try world.points(volume).first).point)
    }
    return (world, wanted)
  }

  /// How many of the group have a live file that is the point, and how many are targets without one.
  private static func count(_ world: World, _ group: [WantedPromotion]) throws -> (live: Int, targets: Int) {
    var (live, targets) = (0, 0)
    for (wanted, volume) in zip(group, world.volumes) {
      let path = world.target.layout.live(wanted.source, namespace: "app", name: volume.name)
      let bytes = world.target.disk.contents(path)
      switch try role(world, wanted.source) {
      case .promoted where bytes == world.model[wanted.point]: live += 1
      case .target where bytes == nil: targets += 1
      default: Issue.record("\(volume.name) is neither live nor a target")
      }
    }
    return (live, targets)
  }

  @Test("a power cut at any change of the disk: start-up makes the whole group live, since all was intended at once")
  func groupAndPowerCuts() throws {
    for operations in 0... {
      let (world, group) = try Self.group(UInt64(operations + 1))
      world.target.disk.gate.stopAfter(operations)
      let wasCut = (try? world.service.promote(group)) == nil
      #expect(try world.rebootTarget().unfinished.isEmpty)
      #expect(try Self.count(world, group) == (3, 0), "after \(operations) operations")
      guard wasCut else { break }
      #expect(operations < 500)
    }
  }

  @Test("a group whose disk fills up before anything is live is taken back whole")
  func groupTakenBack() throws {
    let (world, group) = try Self.group()
    world.target.disk.gate.fail(with: ReplError(.noSpace, subject: "disk", cause: "is full")) { $0.kind == .rename }
    #expect(throws: ReplError.self) { try world.service.promote(group) }
    #expect(try Self.count(world, group) == (0, 3))
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
  }

  @Test("a group of which some are live goes on by itself until all are; nothing is taken back")
  func groupGoesOn() throws {
    let (world, group) = try Self.group()
    // The first of the group is live when the second fails.
    let path = world.target.layout.live(group[1].source, namespace: "app", name: world.volumes[1].name)
    let full = ReplError(.noSpace, subject: "disk", cause: "is full")
    world.target.disk.gate.fail(with: full, once: false) { $0.kind == .rename && $0.path == path }
    let error = #expect(throws: ReplError.self) { try world.service.promote(group) }
    #expect(error?.kind == .transient)
    #expect(error?.cause.contains("is full") == true)
    // Asked again by the sender, and tried again by itself: it stays as it is while the disk is full.
    #expect(throws: ReplError.self) { try world.service.promote(group) }
    #expect(try world.service.finishIntents().count == 1)
    world.target.disk.gate.reset()
    #expect(try world.service.finishIntents().isEmpty)
    #expect(try Self.count(world, group) == (3, 0))
  }

  @Test("names that a peer sends are never paths")
  func hostileNames() throws {
    let layout = PoolLayout(pool: "/pool")
    let source = try SourceVolume(cluster: "east", volume: VolumeID(high: 1, low: 2))
    for (namespace, name) in [("..", "x"), ("a/../..", "x"), ("shop", "../x"), (".x", "y"), ("A", "b"), ("", "")] {
      #expect(layout.live(source, namespace: namespace, name: name) == "/pool/volumes/east/\(source.volume).img")
    }
    #expect(layout.live(source, namespace: "shop", name: "db") == "/pool/volumes/shop/db-\(source.volume).img")
  }

  @Test("what recover needs is written before the live file is there")
  func markFirst() throws {
    let (world, source, point) = try Self.sealed()
    world.target.disk.gate.startLog()
    try world.service.promote(source, point: point.point)
    let log = world.target.disk.gate.log
    let mark = try #require(log.firstIndex { $0.kind == .replace && $0.path.hasSuffix("/promotion") })
    let live = try #require(log.firstIndex { $0.kind == .rename && $0.path == Self.livePath(world, source) })
    #expect(mark < live)
  }

  @Test("a promotion that fails when its live file is there is not taken back, and start-up finishes it")
  func failsWithALiveFile() throws {
    let (world, source, point) = try Self.sealed()
    let path = Self.livePath(world, source)
    world.target.disk.gate.fail(with: ReplError(.noSpace, subject: "disk", cause: "is full")) { [unowned world] in
      $0.kind == .replace && $0.path.hasSuffix("/promotion") && world.target.disk.contents(path) != nil
    }
    #expect(throws: ReplError.self) { try world.service.promote(source, point: point.point) }
    #expect(try Self.role(world, source) == .promoted)
    #expect(world.target.disk.contents(path) != nil)
    #expect(try world.rebootTarget().unfinished.isEmpty)
    #expect(try Self.isLive(world, source, point))
  }
}
