import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// A pool that several clusters use: what one of them may take of it.
@Suite struct PeerStorageTests {
  /// Another cluster has a volume in the pool.
  private func addNeighbour(_ world: World) throws {
    let neighbour = Replica(
      cluster: "neighbour", volume: .random(using: &world.generator), namespace: "app", name: "other",
      authority: .following(
        lineage: .random(using: &world.generator), branch: Branch(epoch: 1, id: .random(using: &world.generator))),
      pool: "main")
    try world.target.database.write { try neighbour.insert($0) }
    world.clock.advance(seconds: 10)
  }

  /// Other data in the pool: it is fuller than any limit, and what the peer has is counted.
  private func fill(_ world: World, _ bytes: Int) throws {
    let file = try world.target.disk.open("/pool/other.img", .createNew)
    let content = BytePattern.random(count: bytes, using: &world.generator)
    try content.withUnsafeBufferPointer { try file.write(UnsafeRawBufferPointer($0), at: 0) }
    try file.synchronize()
    try file.close()
    try world.target.disk.synchronizeDirectory("/pool")
  }

  private func used(_ world: World) throws -> UInt64 {
    let space = try world.target.disk.space(at: "/pool")
    return space.total - space.available
  }

  private func held(_ world: World) throws -> UInt64 {
    let store = PointStore(layout: world.target.layout, storage: world.target.disk)
    return try world.volumes.reduce(0) {
      $0 + (try store.storedBytes(of: SourceVolume(cluster: "source", volume: $1.id)))
    }
  }

  /// A new megabyte of the first volume is written.
  private func rewrite(_ world: World) throws {
    try world.write(world.volumes[0], BytePattern.random(count: 1 << 20, using: &world.generator), at: 0)
    world.clock.advance(seconds: 60)
  }

  /// One point after the other, each with a megabyte of its own.
  private func replicate(_ world: World, times: Int) throws {
    for _ in 0..<times {
      try rewrite(world)
      #expect(try world.migrate()?.state == .succeeded, "\(world.lastReport?.reason ?? "")")
    }
  }

  @Test("its own points above the floor go, the oldest first, and a tenth of the pool stays for the others")
  func ownPointsGo() async throws {
    let world = try World.written(1)
    try addNeighbour(world)
    let capacity: UInt64 = 12 << 20
    world.target.disk.capacity = capacity
    world.hadNoSpace = true
    var events = world.targetEvents.subscribe().makeAsyncIterator()
    try replicate(world, times: 20)
    #expect(try held(world) <= capacity / 100 * 90)
    #expect(try used(world) <= capacity / 100 * 90)
    #expect(try world.points(world.volumes[0]).count > 3)
    let event = await events.next()
    #expect(event?.message.hasPrefix("cluster source has taken what it may of pool main: point") == true)
    try world.check()
  }

  @Test("alone in a pool it may take all of it")
  func alone() throws {
    let world = try World.written(1)
    world.target.disk.capacity = 12 << 20
    world.hadNoSpace = true
    try replicate(world, times: 20)
    #expect(try used(world) > (12 << 20) / 100 * 90)
    try world.check()
  }

  @Test("where none may go it is refused before a byte is sent, and the error names the limit")
  func refused() throws {
    let world = try World.written(1)
    world.target.peerStorage = .bytes(4 << 20)
    world.retention = RetentionPolicy(keepLast: 1000, floor: 100)
    try world.rebootTarget()
    world.target.disk.capacity = 100 << 20
    world.hadNoSpace = true
    try fill(world, 6 << 20)
    try replicate(world, times: 3)
    world.shippedBytes = 0
    try rewrite(world)
    let report = try #require(try world.migrate())
    #expect(report.state == .failed)
    #expect(report.reason.contains("cluster source may take 4194304 and has"), "\(report.reason)")
    #expect(report.reason.contains("limits.peerStorage"))
    #expect(world.shippedBytes == 0)
    try world.check()
    world.target.peerStorage = .percent(100)
    try world.rebootTarget()
    #expect(try world.migrate()?.state == .succeeded)
    try world.check()
  }

  @Test("what is staged counts, and staging that nobody works on goes before any point")
  func stagingCounts() throws {
    let world = try World.written(2)
    world.target.peerStorage = .bytes(4 << 20)
    world.retention = RetentionPolicy(keepLast: 1000, floor: 100)
    try world.rebootTarget()
    world.target.disk.capacity = 100 << 20
    world.hadNoSpace = true
    try fill(world, 6 << 20)
    #expect(try world.migrate()?.state == .succeeded)
    for volume in world.volumes {
      try world.write(volume, BytePattern.random(count: 1 << 20, using: &world.generator), at: 0)
    }
    world.cutBefore = { if case .sealSession = $0 { true } else { false } }
    #expect(world.run(try world.ask([world.volumes[0]]))?.state == .failed)
    world.cutBefore = { _ in false }
    try world.restartService()
    let staging = world.target.layout.staging(try SourceVolume(cluster: "source", volume: world.volumes[0].id))
    #expect(try world.target.disk.exists(staging.image))
    let before = try world.volumes.map { try world.points($0).map(\.point) }
    let other = world.run(try world.ask([world.volumes[1]]))
    #expect(other?.state == .succeeded, "\(other?.reason ?? "")")
    #expect(try !world.target.disk.exists(staging.image))
    #expect(try world.points(world.volumes[0]).map(\.point) == before[0])
    #expect(try world.points(world.volumes[1]).map(\.point).dropFirst() == before[1][...])
    try world.check()
  }
}
