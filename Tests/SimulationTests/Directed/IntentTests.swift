import BlockDiff
import Foundation
import GRDB
import ReplModel
import TestSupport
import Testing

@testable import ReplicationEngine

/// Work in several durable steps, and a crash at each of them.
@Suite struct IntentTests {
  /// A world with a volume that has points, and an intent to promote the newest, recorded and nothing more.
  private static func intended() throws -> (World, SourceVolume, PromotionRecord) {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    let point = try #require(try world.points(world.volumes[0]).first).point
    let intents = try Promotion(context: world.targetContext).intend([WantedPromotion(source: source, point: point)])
    return (world, source, try #require(intents.first).record)
  }

  /// Where a crash may be, seen from a step.
  enum Moment: CaseIterable {
    /// The step has begun, and its effect is there, but nothing is recorded.
    case done
    /// The step is recorded as done.
    case recorded
  }

  @Test(
    "a crash at any step of a promotion: start-up goes on to the end, once", arguments: PromotionStep.allCases,
    Moment.allCases)
  func crash(at step: PromotionStep, _ moment: Moment) throws {
    let (world, source, record) = try Self.intended()
    let work = Promotion(context: world.targetContext)
    let steps = PromotionStep.allCases
    for (index, each) in steps.enumerated() where each.rawValue == step.rawValue || index < steps.firstIndex(of: step)!
    {
      try work.perform(each, source)
      if each == step, moment == .done { break }
      try world.target.database.write { database in
        let intent = try #require(try IntentRecord.find(database, source))
        try work.record(each, source, database)
        if index + 1 < steps.count {
          try intent.advance(database, to: steps[index + 1].rawValue)
        } else {
          try intent.delete(database)
        }
      }
    }
    #expect(try world.rebootTarget().unfinished.isEmpty)
    try Self.expectLive(world, source, record)
    #expect(try world.rebootTarget().unfinished.isEmpty, "a second start finds nothing to do")
    try Self.expectLive(world, source, record)
  }

  private static func expectLive(_ world: World, _ source: SourceVolume, _ record: PromotionRecord) throws {
    let bytes = try #require(world.target.disk.contents(record.mark.path))
    let snapshot = try #require(world.model[record.mark.point])
    #expect(BytePattern.areEqual(bytes[...], snapshot[...]))
    try world.target.database.read { database in
      #expect(try IntentRecord.all(database).isEmpty)
      #expect(try PromotionRecord.find(database, source)?.mark.isLive == true)
      let replica = try #require(try Replica.find(database, cluster: source.cluster, volume: source.volume))
      #expect(replica.role == .promoted)
      #expect(replica.branch == record.mark.branch)
      #expect(replica.authority.ancestors.map(\.point) == [record.mark.point])
    }
  }

  @Test("a promotion whose intent is gone begins anew at the next start")
  func lostIntent() throws {
    let (world, source, record) = try Self.intended()
    try world.target.database.write { try $0.execute(sql: "DELETE FROM intent") }
    #expect(try world.rebootTarget().unfinished.isEmpty)
    try Self.expectLive(world, source, record)
  }

  @Test("a promotion whose record alone is gone is taken over from its file; whoever is promoted stays on its branch")
  func adopted() throws {
    let (world, source, record) = try Self.intended()
    #expect(try world.rebootTarget().unfinished.isEmpty)
    let before = try world.target.database.read {
      try Replica.find($0, cluster: source.cluster, volume: source.volume)
    }
    let mark = try #require(try world.targetContext.store(pool: "main").promotionMark(of: source))
    #expect(mark.isLive)
    for _ in 1...2 {
      try world.target.database.write { database in
        try database.execute(sql: "DELETE FROM promotion")
        try Promotion.adopt(database, PromotionRecord(source: source, mark: mark))
        #expect(try Replica.find(database, cluster: source.cluster, volume: source.volume) == before)
      }
    }
    try Self.expectLive(world, source, record)
  }

  @Test("a promotion that no database knows begins its branch as it was, with its parent", arguments: [true, false])
  func adoptedAnew(isLive: Bool) throws {
    let (world, source, record) = try Self.intended()
    var mark = record.mark
    mark.isLive = isLive
    let before = try #require(
      try world.target.database.read { try Replica.find($0, cluster: source.cluster, volume: source.volume) })
    try world.target.database.write { [mark] database in
      try database.execute(sql: "DELETE FROM promotion; DELETE FROM intent")
      try Replica.setAuthority(database, source, try before.authority.applying(.withdrawn))
      try Promotion.adopt(database, PromotionRecord(source: source, mark: mark))
      #expect(try Replica.find(database, cluster: source.cluster, volume: source.volume) == before)
      #expect(try IntentRecord.find(database, source) == nil || !isLive)
    }
    if !isLive {
      #expect(try world.rebootTarget().unfinished.isEmpty)
      try Self.expectLive(world, source, record)
    }
  }

  @Test("a step that there is none of is said so and left alone; the others go on")
  func unknownStep() throws {
    let (world, source, _) = try Self.intended()
    try world.target.database.write { try $0.execute(sql: "UPDATE intent SET step = 'rubbish'") }
    let left = try world.rebootTarget().unfinished
    #expect(left.map(\.source) == [source])
    #expect(left.first?.error.kind == .damaged)
    #expect(try world.target.database.read { try IntentRecord.find($0, source) }?.step == "rubbish")
  }

  @Test("a replica has one intent at a time")
  func oneAtATime() throws {
    let (world, source, _) = try Self.intended()
    let error = #expect(throws: ReplError.self) {
      try world.target.database.write {
        try IntentRecord(
          source: source, verb: .promote, step: PromotionStep.mark.rawValue, startedAt: world.clock.now()
        ).insert($0)
      }
    }
    #expect(error?.kind == .refused)
  }

  @Test("the page has the table of steps as the code has it")
  func documented() throws {
    let here = URL(filePath: #filePath).deletingLastPathComponent()
    let page = try String(
      contentsOf: here.appending(path: "../../../docs/architecture.md").standardized, encoding: .utf8)
    for step in PromotionStep.allCases {
      let row = "| `promote` | `\(step.rawValue)` | \(step.durable) | \(step.crashLeaves) |"
      #expect(page.contains(row), "\(row)")
    }
  }
}
