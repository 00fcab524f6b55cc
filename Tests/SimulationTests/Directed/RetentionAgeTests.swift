import BlockDiff
import ReplModel
import TestSupport
import Testing

@testable import ReplicationEngine

/// Ages come from readings of a clock that may be wrong when an agent starts.
@Suite struct RetentionAgeTests {
  private static func prune(_ context: TargetContext, _ world: World) throws -> Int {
    RetentionRun(context: context).pruneAll(elapsed: 1)
    return try world.points(world.volumes[0]).count
  }

  @Test("an age rule deletes nothing before the agent has run for that long, or for an hour")
  func afterTheStart() throws {
    let world = try World.written(1)
    for _ in 1...4 {
      #expect(try world.migrate()?.state == .succeeded)
      try world.live(steps: 1)
    }
    world.clock.advance(seconds: 90 * 86400)
    world.retention = RetentionPolicy(keepLast: 1, newerThan: 600, floor: 1)
    try world.restartService()
    let context = world.targetContext
    #expect(try Self.prune(context, world) == 4)
    world.clock.advance(seconds: 599)
    #expect(try Self.prune(context, world) == 4)
    world.clock.advance(seconds: 2)
    #expect(try Self.prune(context, world) == 1)
  }

  @Test("a rule by count alone waits for nothing")
  func byCount() throws {
    let world = try World.written(1)
    for _ in 1...3 {
      #expect(try world.migrate()?.state == .succeeded)
      try world.live(steps: 1)
    }
    world.retention = RetentionPolicy(keepLast: 1, floor: 1)
    #expect(try Self.prune(world.targetContext, world) == 1)
  }
}
