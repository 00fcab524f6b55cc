import ReplModel
import TestSupport
import Testing

@testable import BlockDiff

/// The power is cut at every operation that changes the disk, from the first one of a session to the deletion of the old
/// point. Whatever is left: the old point or the new one is whole, and the session can be finished.
@Suite struct CrashTests {
  /// One session upon a base, with everything around it.
  private struct Scenario {
    var fixture: TargetFixture
    let old: [UInt8]
    let new: [UInt8]
    let base: RecoveryPoint
    let point: PointID

    /// - Parameter hasReadyClone: whether staging begins with the clone made ahead.
    init(seed: UInt64, hasReadyClone: Bool) throws {
      fixture = try TargetFixture(seed: seed)
      old = fixture.randomVolume(blocks: 300, extra: 100)
      new = fixture.mutated(old, changes: 6) + fixture.randomVolume(blocks: 3)
      base = try fixture.makePoint(old)
      if hasReadyClone { try fixture.store.prepareReadyClone(of: base) }
      point = fixture.newID()
    }

    var identity: StagingIdentity { fixture.identity(point, base: base.id, size: new.count) }

    func request() -> SealRequest { fixture.request(fixture.seal(point, of: new, base: base.id, generation: 2)) }

    /// Ships what is not durable, recording often.
    func ship(into area: StagingArea) throws {
      let durable = ExtentSet(try collect(area.durableExtents()))
      let rest = TargetFixture.changedBlocks(of: new, from: old).subtracting(durable)
      for (index, extent) in rest.extents.enumerated() {
        try TargetFixture.write(new, extent, into: area)
        if index % 2 == 1 { try area.recordProgress() }
      }
    }

    func session() throws {
      let area = try fixture.open(identity)
      try ship(into: area)
      guard case .prepared = try area.seal(request()) else { throw TargetFixture.Unexpected("does not match") }
      try fixture.store.publish(point, of: fixture.source)
    }

    func cleanUp() throws {
      let newest = try fixture.store.point(point, of: fixture.source)
      try fixture.store.prepareReadyClone(of: newest)
      try fixture.store.delete(base.id, of: fixture.source)
    }
  }

  @Test(arguments: [false, true], 0..<3 as Range<UInt64>)
  func aPowerCutAtAnyOperationLeavesAWholePoint(hasReadyClone: Bool, seed: UInt64) throws {
    let dry = try Scenario(seed: seed, hasReadyClone: hasReadyClone)
    let start = dry.fixture.disk.gate.changeCount
    try dry.session()
    try dry.cleanUp()
    let count = dry.fixture.disk.gate.changeCount - start
    #expect(count > 40)
    for operation in 0...count {
      let scenario = try Scenario(seed: seed, hasReadyClone: hasReadyClone)
      var generator = SeededGenerator(seed: seed &* 1000 &+ UInt64(operation))
      scenario.fixture.disk.gate.stopAfter(operation)
      let wasCut: Bool
      do {
        try scenario.session()
        try scenario.cleanUp()
        wasCut = false
      } catch {
        wasCut = true
      }
      #expect(wasCut == (operation < count))
      scenario.fixture.disk.crash(using: &generator)
      do {
        try check(scenario, "seed \(seed), operation \(operation)")
      } catch {
        Issue.record(
          "seed \(seed), operation \(operation): \(error)\n\(scenario.fixture.disk.paths.joined(separator: "\n"))")
        return
      }
    }
  }

  /// What an agent does after the crash, and what must hold meanwhile.
  private func check(_ scenario: Scenario, _ place: Comment) throws {
    let disk = scenario.fixture.disk
    let source = scenario.fixture.source
    let store = try TargetFixture.openPool(disk).points
    try store.finishRepairs()
    let listed = try store.points(of: source)
    #expect(listed.damaged.isEmpty, place)
    for point in listed.sealed {
      let truth = point.id == scenario.base.id ? scenario.old : scenario.new
      #expect(disk.contents(point.paths.image) == truth, place)
      #expect(try store.checkStamp(point) == nil, place)
      #expect(try store.verify(point, key: scenario.fixture.key).matchesSeal, place)
    }
    let hasBase = listed.sealed.contains { $0.id == scenario.base.id }
    let hasNew = listed.sealed.contains { $0.id == scenario.point }
    #expect(hasBase || hasNew, place)
    if let ready = try store.readyClone(for: source) {
      let truth = ready.point == scenario.base.id ? scenario.old : scenario.new
      #expect(disk.contents(store.layout.ready(source).image) == truth, place)
    }
    guard !hasNew else { return }
    try finish(scenario, store, place)
    let point = try store.point(scenario.point, of: source)
    #expect(disk.contents(point.paths.image) == scenario.new, place)
    #expect(try store.verify(point, key: scenario.fixture.key).matchesSeal, place)
    #expect(try store.checkStamp(point) == nil, place)
  }

  private func finish(_ scenario: Scenario, _ store: PointStore, _ place: Comment) throws {
    let source = scenario.fixture.source
    if try store.preparedPoint(of: source)?.seal.point != scenario.point {
      let area = try StagingArea.open(
        scenario.identity, for: source, in: store, clock: scenario.fixture.clock.clock)
      // Whatever the ledger names is really there.
      let image = try #require(scenario.fixture.disk.contents(area.paths.image))
      for extent in try collect(area.durableExtents()) {
        let range = Int(extent.offset)..<Int(extent.end)
        #expect(BytePattern.areEqual(image[range], scenario.new[range]), place)
      }
      try scenario.ship(into: area)
      guard case .prepared = try area.seal(scenario.request()) else {
        throw TargetFixture.Unexpected("does not match after resuming")
      }
    }
    try store.publish(scenario.point, of: source)
  }

  /// An image of the disk taken while a point is being sealed, without unmounting.
  @Test func anImageOfTheDiskTakenAtAnyTimeHasAWholePoint() throws {
    let scenario = try Scenario(seed: 8, hasReadyClone: false)
    var generator = SeededGenerator(seed: 8)
    let area = try scenario.fixture.open(scenario.identity)
    try scenario.ship(into: area)
    for _ in 0..<20 {
      let copy = scenario.fixture.disk.crashedCopy(using: &generator)
      let store = try TargetFixture.openPool(copy).points
      let point = try store.point(scenario.base.id, of: scenario.fixture.source)
      #expect(copy.contents(point.paths.image) == scenario.old)
      #expect(try store.checkStamp(point) == nil)
    }
    _ = try area.seal(scenario.request())
  }

  /// An error instead of a power cut: nothing is half made, and the same session ends well the next time.
  @Test(arguments: [ReplError.Kind.io, .noSpace])
  func anErrorAtAnyOperationLeavesAWholePoint(kind: ReplError.Kind) throws {
    let dry = try Scenario(seed: 5, hasReadyClone: true)
    let start = dry.fixture.disk.gate.changeCount
    try dry.session()
    let count = dry.fixture.disk.gate.changeCount - start
    for operation in 0..<count {
      let scenario = try Scenario(seed: 5, hasReadyClone: true)
      let disk = scenario.fixture.disk
      disk.gate.failChange(number: operation, with: ReplError(kind, subject: "disk", cause: "simulated error"))
      do {
        try scenario.session()
      } catch {
        #expect((error as? ReplError)?.kind == kind)
      }
      disk.gate.reset()
      // Nothing that a failed sync dropped is left in the cache to be taken for durable.
      var generator = SeededGenerator(seed: UInt64(operation))
      disk.crash(using: &generator)
      do {
        try check(scenario, "operation \(operation)")
      } catch {
        Issue.record("operation \(operation): \(error)\n\(disk.paths.joined(separator: "\n"))")
        return
      }
    }
  }
}
