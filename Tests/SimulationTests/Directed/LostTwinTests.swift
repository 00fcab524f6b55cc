import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// Twins that somebody removed, cut or damaged at the source.
@Suite struct LostTwinTests {
  /// A volume with two points and their twins, changed since.
  private static func world() throws -> World {
    let world = try World.written(1)
    for _ in 1...2 {
      #expect(try world.migrate()?.state == .succeeded)
      try world.live(steps: 2)
    }
    #expect(try world.twins().count == 2)
    return world
  }

  private static func remove(_ twin: SnapshotRecord, _ world: World) throws {
    try world.source.disk.setImmutable(twin.imagePath, false)
    try world.source.disk.removeTree(twin.directory)
  }

  @Test("when the newest twin is gone, the same migration builds on the one before it and says why")
  func directoryGone() throws {
    let world = try Self.world()
    let twins = try world.twins()
    try Self.remove(twins[0], world)
    #expect(try world.migrate()?.state == .succeeded)
    let report = try #require(world.lastReport?.volumes.first)
    #expect(report.changeSource == "reflink")
    #expect(report.reason.contains("the files of snapshot \(twins[0].point) are gone"))
    #expect(try world.points(world.volumes[0]).first?.seal.base == twins[1].point)
    #expect(try !world.twins().contains { $0.point == twins[0].point })
    try world.check()
  }

  @Test("when all twins are gone, the same migration compares with the target's sums and says why")
  func allGone() throws {
    let world = try Self.world()
    let twins = try world.twins()
    for twin in twins { try Self.remove(twin, world) }
    world.shippedBytes = 0
    #expect(try world.migrate()?.state == .succeeded)
    let report = try #require(world.lastReport?.volumes.first)
    #expect(report.changeSource == "compare")
    #expect(report.fullReason.contains("the files of snapshot \(twins[0].point) are gone"))
    try world.check()
  }

  @Test("when only the image is gone, the same migration compares sums, and the record has no image any more")
  func imageGone() throws {
    let world = try Self.world()
    let twin = try #require(try world.twins().first)
    try world.source.disk.setImmutable(twin.imagePath, false)
    try world.source.disk.removeFile(twin.imagePath)
    var candidates: [BaseCandidate] = []
    world.onRequest = { if case .beginSession(let begin) = $0 { candidates = begin.candidates } }
    #expect(try world.migrate()?.state == .succeeded)
    #expect(candidates.map(\.sumsOnly) == [true, false])
    let report = try #require(world.lastReport?.volumes.first)
    #expect(report.changeSource == "digest")
    #expect(report.reason == "the image of snapshot \(twin.point) is gone")
    #expect(try world.twins().first { $0.point == twin.point }?.hasImage == false)
    try world.check()
  }

  @Test("a twin that was cut short ends in a comparison of sums, not in a failure and a full copy")
  func truncated() throws {
    let world = try Self.world()
    let twin = try #require(try world.twins().first)
    try world.source.disk.setImmutable(twin.imagePath, false)
    let image = try world.source.disk.open(twin.imagePath, .readWrite)
    try image.truncate(to: 70_000)
    try image.close()
    #expect(try world.migrate()?.state == .succeeded)
    let report = try #require(world.lastReport?.volumes.first)
    #expect(report.changeSource == "digest")
    #expect(report.reason == "the image of snapshot \(twin.point) has 70000 bytes instead of \(twin.size)")
    #expect(try !world.source.disk.exists(twin.imagePath))
    try world.check()
  }

  @Test("a verification that finds the twin different does what a scrub does: no later session relies on it")
  func damaged() throws {
    let world = try Self.world()
    let twin = try #require(try world.twins().first)
    let seal = try #require(twin.seal)
    #expect(world.source.disk.corrupt(twin.imagePath, at: 300_000))
    let verifier = TwinVerifier(context: world.sourceContext)
    guard case .read(let fingerprint, _, let damaged) = try verifier.verify(twin, seal) else {
      Issue.record("nothing was read")
      return
    }
    #expect(fingerprint != seal.fingerprint)
    #expect(damaged == [0])
    let volume = try world.source.database.read { try VolumeRecord.find($0, twin.volume) }
    #expect(try #require(volume?.distrustReason).contains("a verification found 1 segments"))
    #expect(try world.source.database.read { try NoticeRecord.all($0, peer: "target") }.count == 1)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.lastReport?.volumes.first?.changeSource == "digest")
    #expect(try world.points(world.volumes[0]).first?.state == .sealed)
  }

  @Test("a verification reads a twin that is what was sealed and trusts it as before, and misses one that is gone")
  func verified() throws {
    let world = try Self.world()
    let twin = try #require(try world.twins().first)
    let seal = try #require(twin.seal)
    let verifier = TwinVerifier(context: world.sourceContext)
    guard case .read(seal.fingerprint, _, []) = try verifier.verify(twin, seal) else {
      Issue.record("a whole twin differs from its seal")
      return
    }
    #expect(try world.source.database.read { try VolumeRecord.find($0, twin.volume) }?.distrustReason == nil)
    try Self.remove(twin, world)
    guard case .notRead(let reason, isLost: true) = try verifier.verify(twin, seal) else {
      Issue.record("a twin was read that is gone")
      return
    }
    #expect(reason.contains("are gone"))
  }
}
