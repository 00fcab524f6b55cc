import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// One cycle upon a base, hit at each of its steps: what was sealed stays, the next cycle succeeds, nothing is left over.
@Suite struct EveryStepTests {
  enum Side: CaseIterable, Sendable { case source, target }

  /// Two points, and a volume that has changed since.
  private static func world() throws -> World {
    let world = try World.written(1)
    for _ in 1...2 {
      #expect(try world.migrate()?.state == .succeeded)
      try world.live(steps: 3)
    }
    return world
  }

  private static func machine(_ side: Side, _ world: World) -> Machine { side == .source ? world.source : world.target }

  /// After the next start nothing lies about that no record names.
  private static func requireTidy(_ world: World, _ place: Comment) throws {
    try world.rebootSource()
    try world.rebootTarget()
    let volume = world.volumes[0]
    let source = try SourceVolume(cluster: "source", volume: volume.id)
    #expect(try !world.target.disk.exists(world.target.layout.staging(source).directory), place)
    let snapshots = "\(world.source.layout.snapshots)/\(volume.id)"
    let known = try world.twins().map(\.point.description)
    #expect(try Set(world.source.disk.list(snapshots)).isSubset(of: known), place)
    let points = try world.points(volume).map(\.point.description)
    let found = try world.target.disk.list(world.target.layout.points(of: source)).filter { PointID($0) != nil }
    #expect(Set(found) == Set(points), place)
    for twin in try world.twins() {
      let files = try world.source.disk.list(twin.directory)
      #expect(Set(files).isSubset(of: ["image", "segments"]), place)
    }
  }

  @Test("no room for one change of a disk, whichever it is", arguments: Side.allCases)
  func full(_ side: Side) throws {
    let dry = try Self.world()
    let start = Self.machine(side, dry).disk.gate.changeCount
    #expect(try dry.migrate()?.state == .succeeded)
    let count = Self.machine(side, dry).disk.gate.changeCount - start
    #expect(count > 10)
    for number in 0..<count {
      let world = try Self.world()
      // What has no room may let points above the floor go.
      world.hadNoSpace = true
      let place: Comment = "\(side), change \(number)"
      Self.machine(side, world).disk.gate.failChange(
        number: number, with: ReplError(.noSpace, subject: "disk", cause: "has no room left"))
      let report = try world.migrate()
      #expect(report != nil, place)
      try world.check()
      try world.live(steps: 1)
      #expect(try world.migrate()?.state == .succeeded, "\(place): \(world.lastReport?.reason ?? "")")
      try world.check()
      try Self.requireTidy(world, place)
    }
  }

  @Test(
    "while points above the floor are there, no room for a change at the target fails no Migration, and one point goes")
  func relieved() throws {
    func world() throws -> World {
      let world = try World.written(1)
      for _ in 1...6 {
        #expect(try world.migrate()?.state == .succeeded)
        try world.live(steps: 3)
      }
      world.hadNoSpace = true
      return world
    }
    let dry = try world()
    let start = dry.target.disk.gate.changeCount
    #expect(try dry.migrate()?.state == .succeeded)
    for number in 0..<dry.target.disk.gate.changeCount - start {
      let world = try world()
      world.target.disk.gate.failChange(
        number: number, with: ReplError(.noSpace, subject: "disk", cause: "has no room left"))
      #expect(try world.migrate()?.state == .succeeded, "change \(number): \(world.lastReport?.reason ?? "")")
      #expect(try world.points(world.volumes[0]).count >= 6, "change \(number)")
      try world.check()
    }
  }

  @Test("a power cut right after one commit of a database, whichever it is", arguments: Side.allCases)
  func betweenRecords(_ side: Side) throws {
    let dry = try Self.world()
    let start = Self.machine(side, dry).power.commitCount
    let live = dry.live(dry.volumes[0])
    #expect(try dry.migrate()?.state == .succeeded)
    let count = Self.machine(side, dry).power.commitCount - start
    #expect(count > 3)
    for commits in 1...count {
      let world = try Self.world()
      let place: Comment = "\(side), commit \(commits)"
      Self.machine(side, world).power.cutAfterCommits(commits)
      let report = try world.migrate()
      if side == .source {
        #expect(report == nil, place)
        try world.rebootSource()
        try world.resumeRuns()
      } else if world.target.power.isDown {
        try world.rebootTarget()
      }
      // Its last commit may be the end of the run itself.
      if world.lastReport?.state != .succeeded { #expect(commits >= count - 1 || side == .target, place) }
      try world.check()
      let newest = try #require(try world.points(world.volumes[0]).first)
      #expect(world.model[newest.point] == live, place)
      try world.live(steps: 1)
      #expect(try world.migrate()?.state == .succeeded, "\(place): \(world.lastReport?.reason ?? "")")
      try world.check()
      try Self.requireTidy(world, place)
    }
  }
}
