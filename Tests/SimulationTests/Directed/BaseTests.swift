import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// What a session builds on.
@Suite struct BaseTests {
  /// The newest begin that the source sent.
  private static func lastBegin(_ world: World) throws -> BeginSession {
    var last: BeginSession?
    world.onRequest = { if case .beginSession(let begin) = $0 { last = begin } }
    try world.live(steps: 2)
    #expect(try world.migrate()?.state == .succeeded)
    world.onRequest = { _ in }
    return try #require(last)
  }

  private static func choose(_ world: World, _ begin: BeginSession) throws -> BeginOutcome {
    let source = try SourceVolume(cluster: "source", volume: begin.volume)
    let choice = BaseChoice(
      context: world.targetContext, store: try world.targetContext.store(pool: "main"), source: source)
    return try choice.choose(begin)
  }

  @Test("a base is a point with the same id and the same seal, never one of the same generation")
  func identity() throws {
    let world = try World.written(1)
    var begin = try Self.lastBegin(world)
    let point = try #require(try world.points(world.volumes[0]).first)
    begin.snapshot = .random(using: &world.generator)
    begin.generation = point.seal.generation
    let fingerprint = point.seal.fingerprint
    begin.candidates = [BaseCandidate(point: point.point, fingerprint: fingerprint, sumsOnly: false)]
    #expect(try Self.choose(world, begin) == .base(point.point))
    begin.candidates = [
      BaseCandidate(point: .random(using: &world.generator), fingerprint: fingerprint, sumsOnly: false)
    ]
    #expect(try Self.choose(world, begin) == .compareWith(point.point))
    begin.candidates = [
      BaseCandidate(point: point.point, fingerprint: Fingerprint(low: 1, high: 2), sumsOnly: false)
    ]
    #expect(try Self.choose(world, begin) == .compareWith(point.point))
  }

  @Test("a point that somebody touched is suspect and no base: the volume is copied whole, with the reason")
  func touched() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let old = try #require(try world.points(world.volumes[0]).first)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    #expect(world.target.disk.tamper(world.target.layout.point(source, old.point).image, at: 900_000, [1, 2, 3]))
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
    let report = try #require(world.lastReport?.volumes.first)
    #expect(report.changeSource == "full")
    #expect(report.fullReason.contains("no intact point"))
    #expect(try world.points(world.volumes[0]).map(\.state) == [.sealed, .suspect])
    #expect(try world.points(world.volumes[0]).first?.seal.base == nil)
  }

  @Test("a size below that of the newest point is refused until the source says that it was accepted")
  func smallerSize() throws {
    let world = try World.written(1)
    var begin = try Self.lastBegin(world)
    let points = try world.points(world.volumes[0])
    begin.session = .random(using: &world.generator)
    begin.snapshot = .random(using: &world.generator)
    begin.size -= 4096
    begin.members = [GroupMember(volume: begin.volume, size: begin.size)]
    begin.acceptShrink = false
    guard case .refused(let error) = world.service.handle(.beginSession(begin), from: "source") else {
      Issue.record("a volume that shrank was taken")
      return
    }
    #expect(error.kind == .refused)
    #expect(error.remedy?.contains("--accept-shrink") == true)
    begin.acceptShrink = true
    guard case .beginSession = world.service.handle(.beginSession(begin), from: "source") else {
      Issue.record("an accepted size was refused")
      return
    }
    #expect(try world.points(world.volumes[0]) == points)
  }

  @Test("a point that is another file and holds what was sealed, as in a moved pool, is read here and is the base")
  func movedPool() throws {
    let world = try World.written(1)
    for _ in 0..<2 {
      #expect(try world.migrate()?.state == .succeeded)
      try world.live(steps: 1)
    }
    let points = try world.points(world.volumes[0])
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    for point in points {
      let image = world.target.layout.point(source, point.point).image
      let bytes = try #require(world.target.disk.contents(image)?.prefix(1))
      #expect(world.target.disk.tamper(image, at: 0, Array(bytes)))
    }
    #expect(try StampLook(context: world.targetContext).run() == 2)
    #expect(try world.points(world.volumes[0]).map(\.state) == [.suspect, .suspect])
    #expect(try StampLook(context: world.targetContext).run() == 0, "what is known is not told again")

    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.lastReport?.volumes.first?.changeSource == "reflink")
    #expect(try world.points(world.volumes[0]).map(\.state) == [.sealed, .sealed, .suspect])
    #expect(try world.points(world.volumes[0]).first?.seal.base == points[0].point)
    // The others are read by the scrub, at once.
    #expect(try TargetScrub(context: world.targetContext).suspect(pace: { (_) in }))
    #expect(try world.points(world.volumes[0]).map(\.state) == [.sealed, .sealed, .sealed])
    try world.check()
  }

  @Test("when the newest point is no base, the one before it is")
  func olderBase() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let older = try #require(try world.points(world.volumes[0]).first)
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
    let newest = try #require(try world.points(world.volumes[0]).first)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    #expect(world.target.disk.tamper(world.target.layout.point(source, newest.point).image, at: 900_000, [1, 2, 3]))
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.lastReport?.volumes.first?.changeSource == "reflink")
    let points = try world.points(world.volumes[0])
    #expect(points.map(\.state) == [.sealed, .suspect, .sealed])
    #expect(points[0].seal.base == older.point)
  }

  @Test("without the base's image its sums are compared")
  func twinLost() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    try world.source.database.write { try $0.execute(sql: "UPDATE snapshot SET hasImage = 0") }
    try world.live(steps: 2)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.lastReport?.volumes.first?.changeSource == "digest")
    try world.check()
  }

  @Test("a source that lost its twins compares with the target's sums")
  func allTwinsLost() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    try world.source.database.write { try $0.execute(sql: "DELETE FROM snapshot") }
    try world.live(steps: 2)
    world.shippedBytes = 0
    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.lastReport?.volumes.first?.changeSource == "compare")
    try world.check()
  }

  @Test("every seventh migration of a pair is full, in disaster recovery none")
  func everySeventh() throws {
    for mode in [PairMode.default, .disasterRecovery] {
      let world = try World.written(1)
      world.mode = mode
      var sources: [String] = []
      for _ in 1...8 {
        try world.live(steps: 1)
        #expect(try world.migrate()?.state == .succeeded)
        sources.append(world.lastReport?.volumes.first?.changeSource ?? "")
      }
      let seventh = mode == .default ? "full" : "reflink"
      #expect(sources == ["full"] + Array(repeating: "reflink", count: 5) + [seventh, "reflink"])
      try world.check()
    }
  }

  @Test("of what was written again only the blocks that differ are shipped, all of them and at once")
  func trimmed() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    var bytes = Array(world.live(world.volumes[0])[65_536..<131_072])
    for place in [5, 20_000, 65_535] { bytes[place] ^= 1 }
    try world.write(world.volumes[0], bytes, at: 65_536)
    (world.shippedBytes, world.faults.budget) = (0, 0)
    let before = world.sealsSent
    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.shippedBytes == 3 * 4096)
    #expect(world.sealsSent == before + 1)
    try world.check()
  }

  @Test("what does not match once is shipped once more, and nothing else is")
  func firstMismatch() throws {
    let world = try World.written(1)
    try world.write(world.volumes[0], BytePattern.random(count: 1 << 20, using: &world.generator), at: 1 << 20)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    let staged = world.target.layout.staging(source).image
    world.onRequest = { [unowned world] request in
      guard case .sealSession = request, world.sealsSent == 0 else { return }
      #expect(world.target.disk.corrupt(staged, at: 5000))
    }
    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.sealsSent == 2)
    #expect(world.shippedBytes == 3 << 20, "the volume, and once more the segment that differs")
    try world.check()
  }

  @Test("a volume that became smaller is refused until that is accepted, and then copied whole")
  func shrunk() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    try world.edit(world.volumes[0]) { (file) throws(ReplError) in try file.truncate(to: 700_001) }
    #expect(try world.migrate()?.state == .failed)
    #expect(try #require(world.lastReport?.reason).contains("shrank"))
    try world.check()
    world.acceptsShrinking = true
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try #require(world.lastReport?.volumes.first?.fullReason).contains("became smaller"))
    #expect(world.sealsSent == 2)
    try world.check()
  }

  @Test("a member that was prepared for one group is not another one's")
  func otherGroup() throws {
    let world = try World.written(1)
    world.cutBefore = { if case .commitGroup = $0 { true } else { false } }
    var last: BeginSession?
    world.onRequest = { if case .beginSession(let begin) = $0 { last = begin } }
    #expect(try world.migrate()?.state == .failed)
    var begin = try #require(last)
    let prepared = try #require(try world.target.database.read { try PreparedRecord.all($0) }.first)
    #expect(try Self.choose(world, begin) == .prepared(prepared.seal))
    begin.group = .random(using: &world.generator)
    let outcome = try Self.choose(world, begin)
    #expect(outcome == .full(reason: "first copy of the volume"))
    #expect(try world.target.database.read { try PreparedRecord.all($0) }.isEmpty)
  }

  @Test("a source with a restored state goes on behind the newest generation that the target holds")
  func restoredState() throws {
    let world = try World.written(1)
    for _ in 1...2 {
      try world.live(steps: 1)
      #expect(try world.migrate()?.state == .succeeded)
    }
    try world.source.database.write { database in
      try database.execute(sql: "DELETE FROM snapshot")
      try database.execute(sql: "UPDATE liveVolume SET nextGeneration = 1")
    }
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try world.points(world.volumes[0]).map(\.seal.generation) == [3, 2, 1])
    let newest = try #require(try world.points(world.volumes[0]).first)
    #expect(newest.point == (try world.twins().first?.point))
    try world.check()
  }

  @Test("a second mismatch ends the session: staging goes, the base is suspect, the next copy is whole")
  func secondMismatch() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let base = try #require(try world.points(world.volumes[0]).first)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    #expect(world.target.disk.corrupt(world.target.layout.point(source, base.point).image, at: 5000))
    // The damaged block is written anew, so that its old sum is subtracted on both sides.
    try world.write(world.volumes[0], BytePattern.random(count: 4096, using: &world.generator), at: 4096)
    let failed = try #require(try world.migrate())
    #expect(failed.state == .failed)
    #expect(failed.reason.contains("did not match twice"))
    #expect(try world.points(world.volumes[0]).map(\.state) == [.suspect])
    #expect(try !world.target.disk.exists(world.target.layout.staging(source).image))
    #expect(try world.migrate()?.state == .succeeded)
    let report = try #require(world.lastReport?.volumes.first)
    #expect(report.changeSource == "full")
    #expect(report.fullReason.contains("did not match twice"))
    let newest = try #require(try world.points(world.volumes[0]).first)
    #expect(newest.seal.base == nil)
    #expect(newest.state == .sealed)
  }

  @Test("a twin that differs from its sums is distrusted until a whole scrub is clean")
  func distrust() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let twin = try #require(try world.twins().first)
    let volume = world.volumes[0]
    #expect(world.source.disk.corrupt(twin.imagePath, at: 300_000))
    try TwinScrub(context: world.sourceContext).run(twin, pace: { (_) in })
    let distrusted = try world.source.database.read { try VolumeRecord.find($0, volume.id) }
    #expect(try #require(distrusted?.distrustReason).contains("a scrub found 1 segments"))
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
    let report = try #require(world.lastReport?.volumes.first)
    #expect(report.changeSource == "digest")
    let newest = try #require(try world.twins().first)
    try TwinScrub(context: world.sourceContext).run(newest, pace: { (_) in })
    #expect(try world.source.database.read { try VolumeRecord.find($0, volume.id) }?.distrustReason == nil)
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.lastReport?.volumes.first?.changeSource == "reflink")
  }
}
