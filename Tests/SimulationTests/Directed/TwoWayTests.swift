import AgentService
import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// Two whole agents, each a source and a target: runs, heartbeats, documents and upkeep as the daemon has them.
@Suite struct TwoWayTests {
  /// A world in which both machines write a volume.
  private static func world(_ seed: UInt64 = 1) throws -> World {
    let world = try World.written(1, seed: seed)
    try world.addVolume("back", size: 1 << 20, on: world.target)
    try write(world, 1)
    return world
  }

  private static func write(_ world: World, _ byte: UInt8) throws {
    let volume = try #require(world.target.volumes.first)
    let file = try world.target.disk.open(volume.path, .readWrite)
    try [UInt8](repeating: byte, count: 70_000).withUnsafeBufferPointer {
      try file.write(UnsafeRawBufferPointer($0), at: 300_000)
    }
    try file.synchronize()
    try file.close()
  }

  /// Asks the agent of the target for a Migration of its volume, as its control plane would.
  private static func migrateBack(_ world: World, _ name: String) throws -> MigrationReport? {
    let pair = ObjectReference(kind: "ClusterPair", namespace: "app", name: "pair", uid: "pair")
    let reference = ObjectReference(kind: "Migration", namespace: "app", name: name, uid: name)
    let machine = world.target
    for volume in machine.volumes {
      machine.versions[volume.id, default: []].append(try #require(machine.disk.contents(volume.path)))
    }
    try machine.core.start(
      MigrationRequest(reference: reference, pair: pair, volumes: machine.volumes.map(\.id), acceptShrink: false))
    return try machine.database.read { try RunRecord.find($0, uid: name)?.report }
  }

  private static func pointsBack(_ world: World) throws -> [CatalogPoint] {
    try world.source.database.read {
      try CatalogPoint.all($0, cluster: "target", volume: world.target.volumes[0].id)
    }
  }

  private static func expectEqual(_ world: World) throws {
    for point in try pointsBack(world) {
      let source = try SourceVolume(cluster: "target", volume: point.volume)
      let bytes = try #require(world.source.disk.contents(world.source.layout.point(source, point.point).image))
      let snapshot = try #require(world.model[point.point])
      #expect(BytePattern.areEqual(bytes[...], snapshot[...]))
    }
  }

  @Test("each side holds points of the other's volume, in one pool and one database, and knows its own from them")
  func bothWays() throws {
    let world = try Self.world()
    for round in 1...3 {
      #expect(try world.migrate()?.state == .succeeded)
      #expect(try Self.migrateBack(world, "back-\(round)")?.state == .succeeded)
      try world.live(steps: 2)
      try Self.write(world, UInt8(round + 1))
    }
    try world.check()
    #expect(try Self.pointsBack(world).count == 3)
    try Self.expectEqual(world)
    for machine in [world.source, world.target] {
      let facts = try machine.database.read { try VolumeFacts($0) }
      #expect(facts.own.map(\.id) == machine.volumes.map(\.id))
      #expect(facts.held.flatMap(\.value).map(\.volume) == world.other(machine).volumes.map(\.id))
    }
  }

  @Test(
    "a power cut of either machine at any of its commits, in the middle of both ways: both go on", arguments: 1...12)
  func powerCuts(commit: Int) throws {
    for victim in ["source", "target"] {
      let world = try Self.world(UInt64(commit))
      #expect(try world.migrate()?.state == .succeeded)
      #expect(try Self.migrateBack(world, "back-1")?.state == .succeeded)
      try world.live(steps: 2)
      try Self.write(world, 9)
      let machine = victim == "source" ? world.source : world.target
      machine.power.cutAfterCommits(commit)
      _ = try? world.migrate()
      _ = try? Self.migrateBack(world, "back-2")
      for each in [world.source, world.target] where each.power.isDown { try world.reboot(each) }
      machine.power.restore()
      for each in [world.source, world.target] { try each.core.start() }
      #expect(try world.migrate()?.state == .succeeded)
      #expect(try Self.migrateBack(world, "back-3")?.state == .succeeded)
      try world.check()
      try Self.expectEqual(world)
    }
  }

  @Test("heartbeats of both agents measure clocks and life")
  func heartbeats() throws {
    let world = try Self.world()
    for machine in [world.source, world.target] { machine.doChores() }
    for machine in [world.source, world.target] {
      let peer = try #require(machine.core.links.existing(world.other(machine).cluster))
      #expect(try abs(#require(peer.clockOffset)) < 10_000_000, "no more than the way takes")
      #expect(peer.lastError == nil)
      #expect(machine.core.links.heardClocks.offset(of: world.other(machine).cluster) != nil)
    }
  }

  @Test("damage that the target finds is repaired by the upkeep of both, with nobody asking")
  func repair() throws {
    let world = try Self.world()
    #expect(try world.migrate()?.state == .succeeded)
    let point = try #require(try world.points(world.volumes[0]).first)
    let source = try SourceVolume(cluster: "source", volume: point.volume)
    #expect(world.target.disk.corrupt(world.target.layout.point(source, point.point).image, at: 300_000))
    _ = try PointVerifier(context: world.targetContext).verify(source, point.point, quick: false)
    #expect(try world.points(world.volumes[0]).first?.state == .suspect)
    world.source.doChores()
    #expect(try world.points(world.volumes[0]).first?.state == .sealed)
    try world.check()
  }

  private struct Echo: PeerDocumentResponder {
    func answer(_ document: PeerDocument, from cluster: String) async throws(ReplError) -> [UInt8] {
      Array("\(cluster): ".utf8) + document.body
    }
  }

  @Test("documents of the control planes go both ways, in several parts")
  func documents() throws {
    let world = try Self.world()
    let body = [UInt8](repeating: 0x61, count: WireLimits.documentPart + 5)
    for machine in [world.source, world.target] {
      world.other(machine).core.documents.answer(with: Echo())
      let link = try machine.core.links.link(to: world.other(machine).cluster)
      let answer = try DocumentExchange(link: link).run(PeerDocument(topic: "resources", body: body))
      #expect(answer == Array("\(machine.cluster): ".utf8) + body)
    }
  }
}
