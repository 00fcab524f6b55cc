import BlockDiff
import GRDB
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// What takes long writes back only what it owns.
@Suite struct LongReadingTests: DamageSuite {
  @Test("what is recorded of a point while it is read for hours stays: doubt, suspicion, confirmation, orphaning")
  func meanwhile() throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    let source = try Self.source(world)
    try world.target.database.write { try $0.execute(sql: "UPDATE point SET confirmed = 0") }
    var isDone = false
    let pace: Pace = { [unowned world] (_) throws(ReplError) in
      guard !isDone else { return }
      isDone = true
      let book = DamageBook(context: world.targetContext)
      try book.doubt(SegmentSet([2]), of: source, because: "found elsewhere")
      try book.doubtSealed([first.point], of: source, because: "the source missed a change")
      try world.target.database.write { database in
        _ = try CatalogPoint.confirm(database, cluster: "source", point: first.point)
        try Replica.orphan(
          database, cluster: "source", volume: source.volume, at: Timestamp(nanoseconds: 1))
      }
    }
    _ = try PointVerifier(context: world.targetContext).verify(source, first.point, quick: false, pace: pace)
    let now = try #require(try Self.points(world).first)
    #expect(now.doubtful == SegmentSet([2]))
    #expect(now.doubt == "the source missed a change")
    #expect(now.confirmed)
    let volume = try world.target.database.read {
      try Replica.find($0, cluster: "source", volume: source.volume)
    }
    #expect(volume?.deletedAt != nil)
    #expect(now.state == .suspect)
  }

  @Test("a promotion that is recorded while a point is read stays")
  func promotedMeanwhile() throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    let source = try Self.source(world)
    var isDone = false
    let pace: Pace = { [unowned world] (_) throws(ReplError) in
      guard !isDone else { return }
      isDone = true
      try Self.promote(world, first)
    }
    _ = try PointVerifier(context: world.targetContext).verify(source, first.point, quick: false, pace: pace)
    #expect(try Self.states(world) == [.promoted])
  }

  @Test("a reading that began before a repair says nothing of the repaired point")
  func repairedMeanwhile() throws {
    let world = try Self.world()
    let first = try #require(try Self.points(world).first)
    try Self.rot(world, first, segment: 1)
    try Self.verify(world, first)
    var isDone = false
    let pace: Pace = { [unowned world] (_) throws(ReplError) in
      guard !isDone else { return }
      isDone = true
      Self.repair(world)
    }
    _ = try PointVerifier(context: world.targetContext).verify(
      Self.source(world), first.point, quick: false, pace: pace)
    #expect(try Self.points(world).map(\.damaged) == [[]])
    try Self.read(world)
    #expect(try Self.states(world) == [.sealed])
  }

  @Test("a doubt that is raised again while a segment is read is not settled by that reading")
  func doubtedAgain() throws {
    let world = try Self.world()
    let source = try Self.source(world)
    let book = DamageBook(context: world.targetContext)
    try book.doubt(SegmentSet([1]), of: source, because: "found elsewhere")
    var rounds = 0
    try DoubtReader(context: world.targetContext).run { (_) throws(ReplError) in
      rounds += 1
      if rounds == 1 { try book.doubt(SegmentSet([1]), of: source, because: "found again") }
    }
    #expect(rounds > 1, "it was read once more")
    #expect(try Self.states(world) == [.sealed])
  }
}
