import BlockDiff
import ReplModel
import TestSupport
import Testing

@testable import ReplicationEngine

/// Every allocated segment is read once in the period, however often points come and go meanwhile.
@Suite struct ScrubPassTests {
  /// One segment a slice.
  private static let sliceBytes: UInt64 = 1 << 20
  private static let day = 86_400.0

  /// A volume of four segments, all written, and its first point.
  private static func world() throws -> World {
    let world = try World(seed: 11, volumeCount: 1, size: 4 << 20)
    for segment in 0..<4 {
      try world.write(
        world.volumes[0], BytePattern.random(count: 8192, using: &world.generator), at: UInt64(segment) << 20)
    }
    #expect(try world.migrate()?.state == .succeeded)
    return world
  }

  private static func source(_ world: World) throws -> Bool {
    try SourceScrub(context: world.sourceContext, sliceBytes: sliceBytes).slice(pace: { (_) in })
  }

  private static func target(_ world: World) throws -> Bool {
    try TargetScrub(context: world.targetContext, sliceBytes: sliceBytes).slice(pace: { (_) in })
  }

  /// A new point; segment 0 changes.
  private static func cycle(_ world: World) throws {
    try world.write(world.volumes[0], BytePattern.random(count: 4096, using: &world.generator), at: 4096)
    #expect(try world.migrate()?.state == .succeeded)
  }

  private static func newest(_ world: World) throws -> CatalogPoint {
    try #require(try world.points(world.volumes[0]).first)
  }

  private static func pass(_ world: World, _ side: ScrubPass.Side) throws -> ScrubPass {
    let database = side == .source ? world.source.database : world.target.database
    let key = ScrubPass.Key(
      side: side, cluster: side == .source ? "target" : "source", volume: world.volumes[0].id)
    return try #require(try database.read { try ScrubPass.find($0, key) })
  }

  @Test("nothing is read before the period is over, and everything once when it is")
  func period() throws {
    let world = try Self.world()
    #expect(try !Self.source(world) && !Self.target(world), "the first look only begins the period")
    world.clock.advance(seconds: 6.9 * Self.day)
    #expect(try !Self.source(world) && !Self.target(world))
    world.clock.advance(seconds: 0.2 * Self.day)
    for side in [Self.source, Self.target] {
      var slices = 0
      while try side(world) { slices += 1 }
      // The end of the last segment shows with one more look.
      #expect(slices == 5)
      #expect(try !side(world), "once in the period")
    }
    #expect(try Self.newest(world).provenAt == world.clock.now(), "it was read whole")
  }

  @Test("points that come more often than the period do not keep the scrub from a damaged segment", arguments: [1, 3])
  func frequentPoints(segment: UInt64) throws {
    let world = try Self.world()
    #expect(try !Self.target(world))
    // Damage below what no cycle touches: each new point shares it.
    let first = try Self.newest(world)
    let image = try world.target.layout.point(SourceVolume(cluster: "source", volume: first.volume), first.point).image
    for _ in 0..<8 {
      world.clock.advance(seconds: Self.day)
      try Self.cycle(world)
    }
    let newest = try Self.newest(world)
    let path = try world.target.layout.point(SourceVolume(cluster: "source", volume: first.volume), newest.point).image
    #expect(path != image && world.target.disk.corrupt(path, at: segment << 20))
    var slices = 0
    while try Self.target(world) {
      slices += 1
      #expect(slices < 20)
    }
    let found = try #require(try world.points(world.volumes[0]).first { $0.point == newest.point })
    #expect(found.state == .suspect && found.damaged == [segment])
    #expect(try Self.pass(world, .target).cleanAt == nil)
  }

  @Test("a pass goes on over new points and restarts, and one that ends clean says since when nothing was missed")
  func slices() throws {
    let world = try Self.world()
    #expect(try !Self.source(world) && !Self.target(world))
    world.clock.advance(seconds: 8 * Self.day)
    try Self.cycle(world)
    let first = try #require(try world.twins().first)
    let began = world.clock.now()
    for _ in 0..<2 { #expect(try Self.source(world) && Self.target(world)) }
    #expect(try Self.pass(world, .source).next == 2 && Self.pass(world, .target).next == 2)
    world.clock.advance(seconds: 60)
    try Self.cycle(world)
    _ = try world.rebootTarget()
    for side in [Self.source, Self.target] {
      var slices = 0
      while try side(world) { slices += 1 }
      #expect(slices == 3, "segments 2 and 3, and the end")
    }
    let done = try Self.pass(world, .source)
    #expect(done.next == nil && done.cleanAt == began)
    #expect(try Self.pass(world, .target).cleanAt == began)
    let clean = try world.source.database.read { try CleanScrub.find($0, world.volumes[0].id, peer: "target") }
    #expect(clean == first.generation)
    #expect(try Self.newest(world).provenAt == nil, "the newest point was not read whole")
  }

  @Test("a missed change is found by the slice that reads it, and the source distrusts its change source")
  func missedChange() throws {
    let world = try Self.world()
    #expect(try !Self.source(world))
    world.clock.advance(seconds: 8 * Self.day)
    let twin = try #require(try world.twins().first)
    #expect(world.source.disk.corrupt(twin.imagePath, at: 2 << 20))
    while try Self.source(world) {}
    let volume = try world.source.database.read { try VolumeRecord.find($0, world.volumes[0].id) }
    #expect(volume?.distrustReason?.contains("a scrub found 1 segments") == true)
    #expect(try Self.pass(world, .source).cleanAt == nil)
  }

  @Test("a volume that cannot be read rests, and the others get their turn")
  func failure() throws {
    let world = try World.written(2)
    #expect(try world.migrate()?.state == .succeeded)
    var context = world.targetContext
    let scrub = { try TargetScrub(context: context, sliceBytes: Self.sliceBytes).slice(pace: { (_) in }) }
    #expect(try !scrub())
    world.clock.advance(seconds: 8 * Self.day)
    let bad = try #require(try world.points(world.volumes[0]).first)
    let path = try world.target.layout.point(SourceVolume(cluster: "source", volume: bad.volume), bad.point).segments
    world.target.disk.gate.fail(with: ReplError(.io, subject: path, cause: "cannot be read"), once: false) {
      $0.path == path
    }
    var failures = 0
    var slices = 0
    var isDue = true
    while isDue, failures + slices < 20 {
      do {
        isDue = try scrub()
        slices += isDue ? 1 : 0
      } catch { failures += 1 }
    }
    #expect(failures == 1)
    #expect(try world.points(world.volumes[1]).first?.provenAt == world.clock.now())
    context.scrubPauses = ScrubPauses()
    world.target.disk.gate.reset()
    while try scrub() {}
    #expect(try world.points(world.volumes[0]).first?.provenAt == world.clock.now())
  }

  @Test("a clock that was set back does not put the scrub off")
  func clockSetBack() throws {
    let world = try Self.world()
    #expect(try !Self.target(world))
    world.clock.advance(seconds: 8 * Self.day)
    while try Self.target(world) {}
    world.clock.setBack(seconds: 30 * Self.day)
    #expect(try Self.target(world), "a pass from the future says nothing")
  }
}
