import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// A suite about blocks that rot at the target: one volume, written all over, and what is done with its points.
protocol DamageSuite {}

extension DamageSuite {
  static var segments: Int { 4 }

  /// A volume that is written all over, and its first point.
  static func world(points: Int = 1, seed: UInt64 = 5) throws -> World {
    let world = try World(seed: seed, volumeCount: 1, size: UInt64(segments) << 20)
    try world.write(world.volumes[0], BytePattern.random(count: segments << 20, using: &world.generator), at: 0)
    #expect(try world.migrate()?.state == .succeeded)
    for _ in 1..<max(points, 1) { try cycle(world) }
    return world
  }

  /// A new point; a block of the segment changes.
  static func cycle(_ world: World, segment: UInt64 = 3) throws {
    try change(world, segment)
    #expect(try world.migrate()?.state == .succeeded, "\(world.lastReport?.reason ?? "")")
  }

  static func change(_ world: World, _ segment: UInt64) throws {
    try world.write(world.volumes[0], BytePattern.random(count: 4096, using: &world.generator), at: segment << 20)
  }

  static func source(_ world: World) throws -> SourceVolume {
    try SourceVolume(cluster: "source", volume: world.volumes[0].id)
  }

  static func image(_ world: World, _ point: CatalogPoint) throws -> String {
    world.target.layout.point(try source(world), point.point).image
  }

  /// Newest first.
  static func points(_ world: World) throws -> [CatalogPoint] { try world.points(world.volumes[0]) }
  static func states(_ world: World) throws -> [PointState] { try points(world).map(\.state) }

  /// Rot of a block under everything that shares it.
  static func rot(_ world: World, _ point: CatalogPoint, segment: UInt64, at place: UInt64 = 65_536) throws {
    #expect(world.target.disk.corrupt(try image(world, point), at: segment << 20 + place))
  }

  @discardableResult
  static func verify(_ world: World, _ point: CatalogPoint) throws -> VerifyReply {
    try PointVerifier(context: world.targetContext).verify(source(world), point.point, quick: false)
  }

  static func promote(_ world: World, _ point: CatalogPoint) throws(ReplError) {
    try world.service.promote([
      WantedPromotion(source: try SourceVolume(cluster: "source", volume: point.volume), point: point.point)
    ])
  }

  static func read(_ world: World) throws {
    try DoubtReader(context: world.targetContext).run(pace: { (_) in })
  }
  static func repair(_ world: World) {
    RepairRun(context: world.sourceContext, link: SimulatedLink(world)).run()
  }

  /// Every point that is listed as sealed is its snapshot.
  static func requireHonest(_ world: World, _ place: Comment = "") throws {
    for point in try points(world) where point.state == .sealed {
      #expect(world.target.disk.contents(try image(world, point)) == world.model[point.point], place)
    }
  }
}
