import BlockDiff
import GRDB
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// Upkeep finds damage, looks again, mends, and goes on where one thing fails.
@Suite struct DamageUpkeepTests: DamageSuite {
  // MARK: Scrub

  @Test("the scrub reads suspect points again: one whose reason is gone is sealed")
  func suspectIsReadAgain() throws {
    let world = try Self.world(points: 2)
    let points = try Self.points(world)
    let scrub = TargetScrub(context: world.targetContext)
    try DamageBook(context: world.targetContext).suspect(
      points[1].point, of: Self.source(world), because: "it was touched")
    #expect(try Self.states(world) == [.sealed, .suspect])
    #expect(try scrub.suspect(pace: { (_) in }))
    #expect(try Self.states(world) == [.sealed, .sealed])
    #expect(try !scrub.suspect(pace: { (_) in }))
    // However lately it was read: what is held against it came after.
    try DamageBook(context: world.targetContext).suspect(
      points[1].point, of: Self.source(world), because: "it was touched again")
    #expect(try scrub.suspect(pace: { (_) in }))
    #expect(try Self.states(world) == [.sealed, .sealed])
  }

  @Test("a point whose bytes are wrong is read once in the period, and stays suspect")
  func suspectStays() throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    try Self.rot(world, first, segment: 1)
    try Self.verify(world, first)
    let scrub = TargetScrub(context: world.targetContext)
    #expect(try !scrub.suspect(pace: { (_) in }), "it was read just now")
    world.clock.advance(seconds: 8 * 86_400)
    #expect(try scrub.suspect(pace: { (_) in }))
    #expect(try !scrub.suspect(pace: { (_) in }))
    #expect(try Self.points(world).map(\.damaged) == [[1]])
  }

  // MARK: One does not stop the others

  @Test("a clean scrub of one peer's twin does not clear what was found for another's")
  func distrustPerPeer() throws {
    let world = try Self.world()
    let volume = world.volumes[0].id
    let twin = try #require(try world.twins().first)
    try world.source.database.write { database in
      try database.execute(
        sql: """
          INSERT INTO snapshot SELECT 'ffffffffffffffffffffffffffffffff', volume, 'other', 99, size, takenAt, consistency,
            stallNanoseconds, directory, hasImage, state, seal, scrubbedAt FROM snapshot WHERE point = ?
          """, arguments: [twin.point])
      try VolumeRecord.distrust(database, volume, peer: "other", because: "a scrub found 1 segment")
    }
    let scrub = TwinScrub(context: world.sourceContext)
    let reason = { try world.source.database.read { try VolumeRecord.find($0, volume)?.distrustReason } }
    #expect(try scrub.run(twin, pace: { (_) in }))
    #expect(try reason() == "a scrub found 1 segment")
    // Its own twin is clean again, or it has none any more.
    try world.source.database.write { try $0.execute(sql: "DELETE FROM snapshot WHERE peer = 'other'") }
    #expect(try scrub.run(twin, pace: { (_) in }))
    #expect(try reason() == nil)
  }

  @Test("what is found while a twin is scrubbed is not cleared by that scrub")
  func distrustMeanwhile() throws {
    let world = try Self.world()
    let volume = world.volumes[0].id
    let twin = try #require(try world.twins().first)
    try world.source.database.write { try VolumeRecord.distrust($0, volume, peer: "target", because: "first") }
    var isDone = false
    let pace: Pace = { [unowned world] (_) throws(ReplError) in
      guard !isDone else { return }
      isDone = true
      try world.source.database.write { try VolumeRecord.distrust($0, volume, peer: "target", because: "second") }
    }
    let isClean = try TwinScrub(context: world.sourceContext).run(twin, pace: pace)
    #expect(isClean)
    #expect(try world.source.database.read { try VolumeRecord.find($0, volume)?.distrustReason } == "second")
  }

  @Test("a volume that is refused does not end the repairs of the others")
  func repairRound() throws {
    let world = try World.written(3)
    #expect(try world.migrate()?.state == .succeeded)
    for volume in world.volumes {
      let point = try #require(try world.points(volume).first)
      let source = try SourceVolume(cluster: "source", volume: volume.id)
      #expect(world.target.disk.corrupt(world.target.layout.point(source, point.point).image, at: 300_000))
      _ = try PointVerifier(context: world.targetContext).verify(source, point.point, quick: false)
    }
    try world.target.database.write {
      try $0.execute(
        sql: "UPDATE replica SET role = 'promoted' WHERE volume = ?", arguments: [world.volumes[0].id])
    }
    Self.repair(world)
    #expect(try world.volumes.map { try world.points($0)[0].state } == [.suspect, .sealed, .sealed])
  }

  @Test("one image that is gone does not keep a pool from getting room")
  func spaceRelief() throws {
    let world = try World.written(2)
    #expect(try world.migrate()?.state == .succeeded)
    for index in 0..<2 { try world.write(world.volumes[index], [UInt8](repeating: 7, count: 1 << 20), at: 0) }
    let twins = try world.volumes.map { volume in
      try #require(
        try world.source.database.read { try SnapshotRecord.all($0, volume: volume.id, peer: "target") }.first)
    }
    try world.source.disk.setImmutable(twins[0].imagePath, false)
    try world.source.disk.removeFile(twins[0].imagePath)
    world.source.disk.capacity = 1 << 40
    let space = try world.source.disk.space(at: "/pool")
    world.source.disk.capacity = space.total - space.available + 1
    try SpaceKeeper(context: world.sourceContext).relieve(try #require(world.source.pools.entries.first))
    let left = try twins.map { twin in
      try world.source.database.read { try SnapshotRecord.find($0, twin.point)?.hasImage }
    }
    #expect(left == [false, false])
    #expect(try !world.source.disk.exists(twins[1].imagePath))
  }
}
