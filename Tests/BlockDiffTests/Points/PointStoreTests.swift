import ReplModel
import TestSupport
import Testing

@testable import BlockDiff

@Suite struct PointStoreTests {
  @Test func pointsAreListedByGenerationWithTheirRecords() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 10)
    let second = try fixture.makePoint(bytes, generation: 2)
    let first = try fixture.makePoint(bytes, generation: 1)
    let listed = try fixture.store.points(of: fixture.source)
    #expect(listed.sealed == [first, second])
    #expect(listed.damaged.isEmpty)
    var skipped: [SkippedEntry] = []
    let sources = try fixture.store.sources(&skipped)
    #expect(sources == [fixture.source] && skipped.isEmpty)
  }

  @Test func aVolumeWithoutPointsHasNone() throws {
    let fixture = try TargetFixture()
    #expect(try fixture.store.points(of: fixture.source).sealed.isEmpty)
    #expect(errorKind { _ = try fixture.store.point(PointID(high: 1, low: 1), of: fixture.source) } == .notFound)
  }

  @Test func aFlippedBitAnywhereInTheSealIsSeen() throws {
    var fixture = try TargetFixture()
    let point = try fixture.makePoint(fixture.randomVolume(blocks: 2))
    let count = try #require(fixture.disk.contents(point.paths.seal)).count
    for byte in 0..<UInt64(count) where !(8..<12).contains(byte) {
      fixture.disk.corrupt(point.paths.seal, at: byte, bit: Int(byte % 8))
      #expect(errorKind { _ = try fixture.store.point(point.id, of: fixture.source) } == .damaged, "byte \(byte)")
      let listed = try fixture.store.points(of: fixture.source)
      #expect(listed.sealed.isEmpty && listed.damaged.map(\.id) == [point.id])
      fixture.disk.corrupt(point.paths.seal, at: byte, bit: Int(byte % 8))
    }
  }

  @Test func theSealOfAnotherPointIsNotTaken() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 2)
    let first = try fixture.makePoint(bytes)
    let second = try fixture.makePoint(bytes, generation: 2)
    let seal = try #require(fixture.disk.contents(second.paths.seal))
    fixture.disk.tamper(first.paths.seal, at: 0, seal)
    #expect(errorKind { _ = try fixture.store.point(first.id, of: fixture.source) } == .damaged)
  }

  @Test func aTouchedImageIsSuspectAndNoBase() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 10)
    let point = try fixture.makePoint(bytes)
    #expect(try fixture.store.checkStamp(point) == nil)
    fixture.disk.tamper(point.paths.image, at: 4096, [1, 2, 3])
    let difference = try fixture.store.checkStamp(point)
    #expect(difference?.contains("written after it was sealed") == true)
    #expect(
      errorKind {
        _ = try fixture.open(fixture.identity(fixture.newID(), base: point.id, size: bytes.count))
      } == .damaged)
    let verification = try fixture.store.verify(point, key: fixture.key)
    #expect(!verification.matchesSeal)
    #expect(verification.stampDifference == difference)
    #expect(verification.damaged.extents == [Extent(offset: 0, length: UInt64(bytes.count))])
  }

  @Test func readingAndCloningDoNotTouchAPoint() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 10)
    let point = try fixture.makePoint(bytes)
    try fixture.store.clone(point, to: "/pool/look.img")
    let copy = try fixture.disk.open("/pool/look.img", .readWrite)
    try [1, 2, 3].withUnsafeBufferPointer { try copy.write(UnsafeRawBufferPointer($0), at: 0) }
    #expect(fixture.disk.contents(point.paths.image) == bytes)
    #expect(try fixture.store.checkStamp(point) == nil)
    #expect(try fixture.store.verify(point, key: fixture.key).matchesSeal)
  }

  @Test(arguments: 0..<20 as Range<UInt64>) func aCloneIsDurableOnceItIsAnswered(seed: UInt64) throws {
    var fixture = try TargetFixture(seed: seed)
    let bytes = fixture.randomVolume(blocks: 10)
    let point = try fixture.makePoint(bytes)
    try fixture.store.clone(point, to: "/pool/look.img")
    fixture.disk.crash(using: &fixture.generator)
    #expect(fixture.disk.contents("/pool/look.img") == bytes)
  }

  @Test func deletingIsAllOrNothing() throws {
    for operation in 0..<14 {
      for seed in 0..<5 as Range<UInt64> {
        var fixture = try TargetFixture(seed: seed)
        let bytes = fixture.randomVolume(blocks: 10)
        let point = try fixture.makePoint(bytes)
        fixture.disk.gate.stopAfter(operation)
        let isDone = errorKind { try fixture.store.delete(point.id, of: fixture.source) } == nil
        fixture.disk.crash(using: &fixture.generator)
        let pool = try TargetFixture.openPool(fixture.disk)
        let left = try pool.points.points(of: fixture.source)
        #expect(left.damaged.isEmpty)
        if isDone { #expect(left.sealed.isEmpty) }
        for point in left.sealed { #expect(try pool.points.verify(point, key: fixture.key).matchesSeal) }
        _ = try pool.sweep(keeping: PoolContents(points: [fixture.source: Set(left.sealed.map(\.id))]))
        #expect(try fixture.disk.list(pool.layout.trash).isEmpty)
      }
    }
  }

  @Test func aDirectoryEntryThatWasNotSyncedIsNeverReliedUpon() throws {
    // Everything of a published point survives a power cut right after the answer, whatever its seed.
    for seed in 0..<40 as Range<UInt64> {
      var fixture = try TargetFixture(seed: seed)
      let bytes = fixture.randomVolume(blocks: 10)
      let point = try fixture.makePoint(bytes)
      fixture.disk.crash(using: &fixture.generator)
      let store = try TargetFixture.openPool(fixture.disk).points
      let found = try store.point(point.id, of: fixture.source)
      #expect(found == point)
      #expect(try store.checkStamp(found) == nil)
      #expect(fixture.disk.contents(found.paths.image) == bytes)
    }
  }

  @Test func aMoveBetweenDirectoriesIsSyncedInBoth() throws {
    var fixture = try TargetFixture()
    let layout = fixture.pool.layout
    fixture.disk.gate.startLog()
    let point = try fixture.makePoint(fixture.randomVolume(blocks: 3))
    #expect(syncedAfterTheLastRename(fixture) == [layout.points(of: fixture.source), layout.staging])
    fixture.disk.gate.startLog()
    try fixture.store.delete(point.id, of: fixture.source)
    #expect(syncedAfterTheLastRename(fixture) == [layout.points(of: fixture.source), layout.trash])
  }

  private func syncedAfterTheLastRename(_ fixture: TargetFixture) -> Set<String> {
    let log = fixture.disk.gate.log
    guard let rename = log.lastIndex(where: { $0.kind == .rename }) else { return [] }
    return Set(log[rename...].filter { $0.kind == .synchronizeDirectory }.map(\.path))
  }

  @Test func promotionTakesTheReadyCloneByRename() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 10)
    let point = try fixture.makePoint(bytes)
    let other = try fixture.makePoint(bytes, generation: 2)
    try fixture.store.prepareReadyClone(of: point)
    #expect(try !fixture.store.takeReadyImage(of: other, to: "/pool/live.img"))
    fixture.disk.gate.startLog()
    let taken = try fixture.store.takeReadyImage(of: point, to: "/pool/live.img")
    #expect(taken)
    #expect(!fixture.disk.gate.log.contains { $0.kind == .clone })
    fixture.disk.crash(using: &fixture.generator)
    #expect(fixture.disk.contents("/pool/live.img") == bytes)
    #expect(try fixture.store.readyClone(for: fixture.source) == nil)
  }
}
