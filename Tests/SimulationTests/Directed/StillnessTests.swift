import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// Volumes without snapshots: whether they hold still is asked until the last byte is read.
@Suite struct StillnessTests {
  /// A world whose volume cannot be cloned.
  private static func world() throws -> World {
    let world = try World.written(1)
    try world.source.database.write { try $0.execute(sql: "UPDATE replica SET pool = ''") }
    return world
  }

  private static let moved = ReplError(.noPointInTime, subject: "v0", cause: "it was modified while it was read")

  private static func expectRefusal(_ world: World) throws {
    let report = try #require(try world.migrate())
    #expect(report.state == .failed)
    #expect(report.reason.contains("it was modified"))
    #expect(try world.points(world.volumes[0]).isEmpty)
  }

  @Test("a volume that holds still is replicated without a snapshot")
  func still() throws {
    let world = try Self.world()
    #expect(try world.migrate()?.state == .succeeded)
    try world.live(steps: 2)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.lastReport?.volumes.first?.changeSource == "digest")
    try world.check()
  }

  @Test("a write that shows only after the last read keeps the session from a seal")
  func lastLook() throws {
    let world = try Self.world()
    world.stillness.finish = { () throws(ReplError) in throw Self.moved }
    var sealed = false
    world.onRequest = { if case .sealSession = $0 { sealed = true } }
    try Self.expectRefusal(world)
    #expect(!sealed)
  }

  @Test("a write is noticed while chunks are read, not only at the end")
  func whileShipping() throws {
    let world = try Self.world()
    try world.write(world.volumes[0], BytePattern.random(count: 1 << 20, using: &world.generator), at: 1 << 20)
    world.stillness.check = { [unowned world] () throws(ReplError) in if world.shippedBytes > 0 { throw Self.moved } }
    try Self.expectRefusal(world)
    #expect(world.shippedBytes < 2 << 20, "the rest was not read any more")
  }

  @Test("a write is noticed while a comparison reads, before anything is shipped")
  func whileComparing() throws {
    let world = try Self.world()
    #expect(try world.migrate()?.state == .succeeded)
    world.stillness.check = { () throws(ReplError) in throw Self.moved }
    var started = false
    world.onRequest = { if case .startSession = $0 { started = true } }
    #expect(try world.migrate()?.state == .failed)
    #expect(!started)
    #expect(try world.points(world.volumes[0]).count == 1)
  }

  @Test("whoever waits to write is not kept waiting by the pause before a new try")
  func whileWaiting() throws {
    let world = try Self.world()
    var cuts = 0
    var wantedAt: Double?
    world.cutBefore = { [unowned world] request in
      guard case .startSession = request else { return false }
      cuts += 1
      // By now a pause takes eight seconds.
      if cuts == 6 { wantedAt = world.clock.ticks() }
      return true
    }
    world.stillness.check = { () throws(ReplError) in if wantedAt != nil { throw Self.moved } }
    try Self.expectRefusal(world)
    #expect(world.clock.ticks() - (try #require(wantedAt)) < 1)
  }

  @Test(
    "a volume that got another size after the run began is not shipped with the size it had", arguments: [1, 3 << 20])
  func resized(size: UInt64) throws {
    let world = try Self.world()
    world.cutAfter = { [unowned world] request in
      guard case .beginSession = request else { return false }
      try? world.edit(world.volumes[0]) { (file) throws(ReplError) in try file.truncate(to: size) }
      return false
    }
    let report = try #require(try world.migrate())
    #expect(report.state == .failed)
    #expect(report.reason.contains("its size was \(world.volumes[0].size) bytes"))
    #expect(try world.points(world.volumes[0]).isEmpty)
  }

  @Test("a volume that became smaller is refused, as one with snapshots is, and its points stay")
  func shrunk() throws {
    let world = try Self.world()
    #expect(try world.migrate()?.state == .succeeded)
    try world.edit(world.volumes[0]) { (file) throws(ReplError) in try file.truncate(to: 1 << 20) }
    let report = try #require(try world.migrate())
    #expect(report.state == .failed)
    #expect(report.reason.contains("shrank from \(world.volumes[0].size) to \(1 << 20) bytes"))
    try world.check()
  }

  @Test("a volume that may change while it is read must not become shorter all the same")
  func fuzzy() throws {
    let world = try Self.world()
    try world.source.database.write { try $0.execute(sql: "UPDATE liveVolume SET allowFuzzy = 1") }
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try world.points(world.volumes[0]).map(\.seal.consistency) == [.fuzzy])
    world.onRequest = { [unowned world] request in
      guard case .startSession = request else { return }
      try? world.edit(world.volumes[0]) { (file) throws(ReplError) in try file.truncate(to: 1 << 20) }
    }
    try world.write(world.volumes[0], BytePattern.random(count: 1 << 20, using: &world.generator), at: 1 << 20)
    let report = try #require(try world.migrate())
    #expect(report.state == .failed)
    #expect(report.reason.contains("in the middle of a read"))
    #expect(try world.points(world.volumes[0]).count == 1)
  }

  @Test("a volume that becomes shorter behind what is read last is not sealed either")
  func fuzzyAndShort() throws {
    let world = try Self.world()
    try world.source.database.write { try $0.execute(sql: "UPDATE liveVolume SET allowFuzzy = 1") }
    world.onRequest = { [unowned world] request in
      guard case .startSession = request else { return }
      try? world.edit(world.volumes[0]) { (file) throws(ReplError) in try file.truncate(to: 1 << 20) }
    }
    let report = try #require(try world.migrate())
    #expect(report.state == .failed)
    #expect(report.reason.contains("its size was"))
    #expect(try world.points(world.volumes[0]).isEmpty)
  }

  @Test("a snapshot that lost its end is not shipped as if it ended in zeros")
  func cutSnapshot() throws {
    let world = try World.written(1)
    world.cutAfter = { [unowned world] request in
      guard case .beginSession(let begin) = request else { return false }
      let path = world.source.layout.snapshot(begin.volume, begin.snapshot).image
      try? world.source.disk.setImmutable(path, false)
      try? world.source.disk.open(path, .readWrite).truncate(to: 1 << 19)
      return false
    }
    #expect(try world.migrate()?.state == .failed)
    #expect(try world.points(world.volumes[0]).isEmpty)
  }

  @Test("the evidence ends with the session, however it ends")
  func ends() throws {
    let world = try Self.world()
    var ends = 0
    world.stillness.end = { ends += 1 }
    #expect(try world.migrate()?.state == .succeeded)
    #expect(ends == 1)
    world.stillness.finish = { () throws(ReplError) in throw Self.moved }
    #expect(try world.migrate()?.state == .failed)
    #expect(ends == 2)
  }
}
