import ReplModel
import TestSupport
import Testing

@testable import BlockDiff

@Suite struct RepairTests {
  /// A point with a damaged segment, and the truth.
  private func damaged(_ fixture: inout TargetFixture) throws -> (point: RecoveryPoint, bytes: [UInt8]) {
    let bytes = BytePattern.bytes(tag: 8, count: (3 << 20) + 100)
    let point = try fixture.makePoint(bytes)
    fixture.disk.corrupt(point.paths.image, at: (1 << 20) + 5000)
    return (point, bytes)
  }

  private func rewrite(_ area: RepairArea, _ bytes: [UInt8], _ damaged: ExtentSet) throws {
    for extent in damaged.extents {
      try Array(bytes[Int(extent.offset)..<Int(extent.end)]).withUnsafeBufferPointer {
        try area.write(UnsafeRawBufferPointer($0), at: extent.offset)
      }
    }
  }

  @Test func theDamagedSegmentsAreReplacedAndTheSealStays() throws {
    var fixture = try TargetFixture()
    let (point, bytes) = try damaged(&fixture)
    let verification = try fixture.store.verify(point, key: fixture.key)
    let area = try RepairArea(of: point, in: fixture.store)
    fixture.disk.gate.startLog()
    try rewrite(area, bytes, verification.damaged)
    let written = fixture.disk.gate.log.filter { $0.kind == .write }.reduce(0) { $0 + ($1.extent?.length ?? 0) }
    #expect(written == 1 << 20)
    let mismatch = try area.finish(key: fixture.key, now: Timestamp(nanoseconds: 9000))
    #expect(mismatch == nil)
    let repaired = try fixture.store.point(point.id, of: fixture.source)
    #expect(fixture.disk.contents(repaired.paths.image) == bytes)
    #expect(repaired.record.seal == point.record.seal)
    #expect(repaired.record.provenAt == Timestamp(nanoseconds: 9000))
    #expect(try fixture.store.checkStamp(repaired) == nil)
    #expect(try fixture.store.verify(repaired, key: fixture.key).matchesSeal)
    #expect(try fixture.disk.list(fixture.pool.layout.repair).isEmpty)
    #expect(try fixture.disk.list(fixture.pool.layout.trash).isEmpty)
  }

  @Test func aRepairThatDoesNotMatchLeavesThePointAsItWas() throws {
    var fixture = try TargetFixture()
    let (point, bytes) = try damaged(&fixture)
    let area = try RepairArea(of: point, in: fixture.store)
    try rewrite(area, bytes, ExtentSet([Extent(offset: 0, length: 4096)]))
    let mismatch = try area.finish(key: fixture.key, now: Timestamp(nanoseconds: 9000))
    #expect(mismatch != nil)
    #expect(try fixture.store.point(point.id, of: fixture.source) == point)
    #expect(try fixture.disk.list(fixture.pool.layout.repair).isEmpty)
  }

  @Test func aDamagedTableIsRebuilt() throws {
    var fixture = try TargetFixture()
    let bytes = BytePattern.bytes(tag: 8, count: 3 << 20)
    let point = try fixture.makePoint(bytes)
    fixture.disk.corrupt(point.paths.segments, at: 4096)
    let area = try RepairArea(of: point, in: fixture.store)
    #expect(try area.finish(key: fixture.key, now: Timestamp(nanoseconds: 1)) == nil)
    let repaired = try fixture.store.point(point.id, of: fixture.source)
    #expect(try !fixture.store.verify(repaired, key: fixture.key).isTableDamaged)
  }

  @Test func aPowerCutAtAnyOperationLeavesThePointBeforeOrAfter() throws {
    var dry = try TargetFixture()
    let (point, bytes) = try damaged(&dry)
    let start = dry.disk.gate.changeCount
    try repair(dry, point, bytes)
    let count = dry.disk.gate.changeCount - start
    for operation in 0...count {
      for seed in 0..<4 as Range<UInt64> {
        var fixture = try TargetFixture()
        let (point, bytes) = try damaged(&fixture)
        let before = try #require(fixture.disk.contents(point.paths.image))
        fixture.disk.gate.stopAfter(operation)
        let isDone = errorKind { try repair(fixture, point, bytes) } == nil
        var generator = SeededGenerator(seed: seed &* 100 &+ UInt64(operation))
        fixture.disk.crash(using: &generator)
        let store = try TargetFixture.openPool(fixture.disk).points
        try store.finishRepairs()
        let place: Comment = "operation \(operation), seed \(seed)"
        let found = try store.point(point.id, of: fixture.source)
        let image = fixture.disk.contents(found.paths.image)
        #expect(image == bytes || image == before, place)
        #expect(try store.checkStamp(found) == nil, place)
        if isDone { #expect(image == bytes, place) }
        #expect(try fixture.disk.list(store.layout.repair).isEmpty, place)
      }
    }
  }

  private func repair(_ fixture: TargetFixture, _ point: RecoveryPoint, _ bytes: [UInt8]) throws {
    let area = try RepairArea(of: point, in: fixture.store)
    try rewrite(area, bytes, ExtentSet([Extent(offset: 1 << 20, length: 1 << 20)]))
    _ = try area.finish(key: fixture.key, now: Timestamp(nanoseconds: 9000))
  }

  @Test func theRepairedImageIsSyncedBeforeItIsReadBack() throws {
    var fixture = try TargetFixture()
    let (point, bytes) = try damaged(&fixture)
    let area = try RepairArea(of: point, in: fixture.store)
    try rewrite(area, bytes, ExtentSet([Extent(offset: 1 << 20, length: 1 << 20)]))
    fixture.disk.gate.startLog()
    #expect(try area.finish(key: fixture.key, now: Timestamp(nanoseconds: 9000)) == nil)
    let image = fixture.pool.layout.repair(fixture.source, point.id).image
    let log = fixture.disk.gate.log.filter { $0.path == image }
    let synced = try #require(log.firstIndex { $0.kind == .synchronize })
    let read = try #require(log.firstIndex { $0.kind == .read })
    #expect(synced < read)
  }
}
