import BlockDiff
import ReplModel
import TestSupport
import Testing

@testable import ReplicationEngine

@Suite("What a seal records of the source's clock is what was measured, the right way round")
struct RecordedClockTests {
  private let minute: Int64 = 60_000_000_000

  /// The target starts again, and knows its source's clock to be so far ahead.
  private func serve(_ world: World, ahead offset: Int64) throws {
    try world.restartService()
    world.target.core.links.heardClocks.recall(offset, of: "source")
  }

  @Test("the offset of the newest point is found again after the target's start")
  func found() throws {
    let world = try World.written(1)
    try serve(world, ahead: 3 * minute)
    #expect(try world.migrate()?.state == .succeeded)
    try serve(world, ahead: -minute)
    #expect(try world.migrate()?.state == .succeeded)
    try world.rebootTarget()
    #expect(world.target.core.links.clockOffset("source") == -minute)
  }

  @Test("a point that was sealed before the source's clock was heard says nothing of it")
  func unknown() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try RecordedClocks(context: world.targetContext).offsets().isEmpty)
  }
}
