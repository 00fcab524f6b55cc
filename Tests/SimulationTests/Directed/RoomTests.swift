import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// A target whose pool is full.
@Suite struct RoomTests {
  /// Bytes in use on the target's disk now, and so much more.
  private func limit(_ world: World, to more: UInt64) throws {
    world.target.disk.capacity = nil
    let space = try world.target.disk.space(at: "/pool")
    world.target.disk.capacity = space.total - space.available + more
    world.hadNoSpace = true
  }

  private func rewrite(_ world: World) throws {
    try world.write(world.volumes[0], BytePattern.random(count: 1 << 20, using: &world.generator), at: 0)
  }

  @Test("points above the floor make room for the next one, oldest first, and the Migration succeeds")
  func pointsGo() throws {
    let world = try World.written(1)
    for _ in 0..<6 {
      #expect(try world.migrate()?.state == .succeeded)
      try rewrite(world)
    }
    let before = try world.points(world.volumes[0]).map(\.point)
    try limit(world, to: 400 << 10)
    #expect(try world.migrate()?.state == .succeeded)
    let after = try world.points(world.volumes[0]).map(\.point)
    #expect(after.count < before.count + 1)
    #expect(Array(after.dropFirst()) == Array(before.prefix(after.count - 1)))
    try world.check()
  }

  @Test("room that is gone while chunks are written is made again, and nothing is sent twice")
  func whileWriting() throws {
    let world = try World.written(1)
    for _ in 0..<6 {
      #expect(try world.migrate()?.state == .succeeded)
      try rewrite(world)
    }
    world.cutAfter = { [unowned world] request in
      if case .startSession = request { #expect(throws: Never.self) { try limit(world, to: 300 << 10) } }
      return false
    }
    world.shippedBytes = 0
    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.shippedBytes == 1 << 20)
    try world.check()
  }

  @Test("room for the proof is made too")
  func atTheSeal() throws {
    let world = try World.written(1)
    for _ in 0..<6 {
      #expect(try world.migrate()?.state == .succeeded)
      try rewrite(world)
    }
    let before = try world.points(world.volumes[0])
    world.onRequest = { [unowned world] request in
      guard case .sealSession = request, !world.hadNoSpace else { return }
      #expect(throws: Never.self) { try limit(world, to: 4096) }
    }
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try world.points(world.volumes[0]).count < before.count + 1, "there was none, and it was made")
    try world.check()
  }

  @Test("what a failed session has staged gives way to another volume that needs the room, before any point does")
  func stagingGoes() throws {
    let world = try World.written(2)
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
    try limit(world, to: 400 << 10)
    #expect(world.run(try world.ask([world.volumes[1]]))?.state == .succeeded, "\(world.lastReport?.reason ?? "")")
    #expect(try !world.target.disk.exists(staging.image))
    #expect(try world.points(world.volumes[0]).map(\.point) == before[0])
    #expect(try world.points(world.volumes[1]).map(\.point).dropFirst() == before[1][...])
    try limit(world, to: 4 << 20)
    #expect(try world.migrate()?.state == .succeeded, "with room the first goes on")
    try world.check()
  }

  @Test("without anything that may go the session fails before a byte is sent, with site, pool and the whole amount")
  func nothingCanGo() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    try rewrite(world)
    try limit(world, to: 256 << 10)
    world.shippedBytes = 0
    let report = try #require(try world.migrate())
    #expect(report.state == .failed)
    #expect(report.reason.contains("needs up to 1048576 bytes in pool main of site target"))
    #expect(world.shippedBytes == 0)
    try limit(world, to: 4 << 20)
    #expect(try world.migrate()?.state == .succeeded, "with room it goes on")
    try world.check()
  }

  @Test("a full copy that is due by the count and has no room gives way to a delta, and stays due")
  func fullPostponed() throws {
    let world = try World.written(1)
    world.mode = .default
    for _ in 0..<6 { #expect(try world.migrate()?.state == .succeeded) }
    try world.write(world.volumes[0], BytePattern.random(count: 4096, using: &world.generator), at: 0)
    // All points are above what may go.
    world.retention = RetentionPolicy(keepLast: 1000, floor: 100)
    try world.rebootTarget()
    try limit(world, to: 256 << 10)
    let report = try #require(try world.migrate())
    #expect(report.state == .succeeded)
    #expect(report.volumes[0].reason.contains("has no room"))
    #expect(try world.points(world.volumes[0]).first?.seal.proof == .delta)
    try limit(world, to: 8 << 20)
    try world.write(world.volumes[0], BytePattern.random(count: 4096, using: &world.generator), at: 0)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try world.points(world.volumes[0]).first?.seal.proof == .full, "it is due still")
    try world.check()
  }
}
