import ReplModel
import TestSupport
import Testing

@testable import BlockDiff

/// The target side on the file systems it is made for: what the simulated disk promises must hold on them.
@Suite(.requiresLoopDevices) struct PointsOnLoopDevicesTests {
  private let storage = LinuxStorage()

  @Test(arguments: [LoopFileSystem.Kind.xfs, .btrfs])
  func aHistoryOfPointsIsSealedOnARealFileSystem(kind: LoopFileSystem.Kind) throws {
    let fileSystem = try LoopFileSystem(kind)
    defer { fileSystem.close() }
    var fixture = try TargetFixture(seed: 3, realPool: fileSystem.path)
    #expect(fixture.pool.supportsPoints)
    var bytes = fixture.randomVolume(blocks: 700, extra: 123)
    var point = try fixture.makePoint(bytes)
    for generation in 2...6 as ClosedRange<UInt64> {
      try fixture.store.prepareReadyClone(of: point)
      var next = fixture.mutated(bytes, changes: 10)
      if generation == 3 { next += fixture.randomVolume(blocks: 300, extra: 7) }
      if generation == 5 { next.removeLast(1_000_001) }
      let older = point
      point = try fixture.makePoint(next, base: (point.id, bytes), generation: generation)
      bytes = next
      #expect(try storage.readFile(point.paths.image, limit: 1 << 30) == bytes)
      let verification = try fixture.store.verify(point, key: fixture.key)
      #expect(verification.matchesSeal && verification.stampDifference == nil && !verification.isTableDamaged)
      // Cloning, renaming around it and deleting the clone leave the older point's stamp alone.
      #expect(try fixture.store.checkStamp(older) == nil)
      if generation > 3 { try fixture.store.delete(older.id, of: fixture.source) }
    }
    let listed = try fixture.store.points(of: fixture.source)
    #expect(listed.sealed.map(\.record.seal.generation) == [1, 2, 6] && listed.damaged.isEmpty)
  }

  @Test(arguments: [LoopFileSystem.Kind.xfs, .btrfs])
  func stampsHoldFromMountToMount(kind: LoopFileSystem.Kind) throws {
    let fileSystem = try LoopFileSystem(kind)
    defer { fileSystem.close() }
    var fixture = try TargetFixture(seed: 3, realPool: fileSystem.path)
    let point = try fixture.makePoint(fixture.randomVolume(blocks: 20))
    fixture.pool.close()
    _ = consume fixture
    try LoopFileSystem.run(["umount", fileSystem.path])
    try LoopFileSystem.run(["mount", fileSystem.device, fileSystem.path])
    let again = try TargetFixture(seed: 3, realPool: fileSystem.path)
    #expect(try again.store.points(of: again.source).sealed == [point])
    #expect(try again.store.checkStamp(point) == nil)
  }

  @Test(arguments: [LoopFileSystem.Kind.xfs, .btrfs])
  func aPointCannotBeWrittenOrRemovedByAccident(kind: LoopFileSystem.Kind) throws {
    let fileSystem = try LoopFileSystem(kind)
    defer { fileSystem.close() }
    var fixture = try TargetFixture(seed: 3, realPool: fileSystem.path)
    let point = try fixture.makePoint(fixture.randomVolume(blocks: 20))
    for path in [point.paths.image, point.paths.segments, point.paths.seal] {
      #expect(errorKind { _ = try storage.open(path, .readWrite) } == .refused)
      #expect(errorKind { try storage.removeFile(path) } == .refused)
    }
    try fixture.store.clone(point, to: fileSystem.path + "/look.img")
    let copy = try storage.open(fileSystem.path + "/look.img", .readWrite)
    try [1, 2, 3].withUnsafeBufferPointer { try copy.write(UnsafeRawBufferPointer($0), at: 0) }
    try copy.close()
    #expect(try fixture.store.verify(point, key: fixture.key).matchesSeal)
    try fixture.store.delete(point.id, of: fixture.source)
    #expect(try fixture.store.points(of: fixture.source).sealed.isEmpty)
  }

  @Test(arguments: [LoopFileSystem.Kind.xfs, .btrfs])
  func aSessionResumesAndARepairTakesThePlaceOfTheDamagedPoint(kind: LoopFileSystem.Kind) throws {
    let fileSystem = try LoopFileSystem(kind)
    defer { fileSystem.close() }
    var fixture = try TargetFixture(seed: 3, realPool: fileSystem.path)
    let bytes = BytePattern.bytes(tag: 1, count: (3 << 20) + 5)
    let id = fixture.newID()
    let identity = fixture.identity(id, base: nil, size: bytes.count)
    var area = try fixture.open(identity)
    try TargetFixture.write(bytes, Extent(offset: 0, length: 1 << 20), into: area)
    try area.recordProgress()
    try area.close()
    area = try fixture.open(identity)
    #expect(area.origin == .resumed)
    #expect(try collect(area.durableExtents()) == [Extent(offset: 0, length: 1 << 20)])
    try TargetFixture.write(bytes, Extent(from: 1 << 20, to: UInt64(bytes.count)), into: area)
    _ = try area.seal(fixture.request(fixture.seal(id, of: bytes, base: nil)))
    let point = try fixture.store.publish(id, of: fixture.source)

    try storage.setImmutable(point.paths.image, false)
    let image = try storage.open(point.paths.image, .readWrite)
    try [0].withUnsafeBufferPointer { try image.write(UnsafeRawBufferPointer($0), at: (2 << 20) + 77) }
    try image.close()
    let verification = try fixture.store.verify(point, key: fixture.key)
    #expect(verification.damaged.extents == [Extent(offset: 2 << 20, length: 1 << 20)])
    #expect(verification.stampDifference != nil)
    let repair = try RepairArea(of: point, in: fixture.store)
    try Array(bytes[(2 << 20)..<(3 << 20)]).withUnsafeBufferPointer {
      try repair.write(UnsafeRawBufferPointer($0), at: 2 << 20)
    }
    #expect(try repair.finish(key: fixture.key, now: Timestamp(nanoseconds: 5)) == nil)
    let repaired = try fixture.store.point(id, of: fixture.source)
    #expect(try fixture.store.verify(repaired, key: fixture.key).matchesSeal)
    #expect(try fixture.store.checkStamp(repaired) == nil)
  }

  @Test(arguments: [LoopFileSystem.Kind.xfs, .btrfs])
  func aHugeSparseVolumeCostsWhatItHolds(kind: LoopFileSystem.Kind) throws {
    let fileSystem = try LoopFileSystem(kind)
    defer { fileSystem.close() }
    var fixture = try TargetFixture(seed: 3, realPool: fileSystem.path)
    let size: UInt64 = 1 << 40
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: nil, size: Int(size)))
    let block = BytePattern.bytes(tag: 1, count: 4096)
    let walk = FingerprintWalk(key: fixture.key)
    var sum = BlockSum.zero
    for offset in [0, 300 << 30, size - 4096] as [UInt64] {
      try block.withUnsafeBufferPointer { try area.write(UnsafeRawBufferPointer($0), at: offset) }
      sum += block.withUnsafeBytes { walk.sum(of: $0, at: offset) }
    }
    try area.writeZeros(Extent(offset: 1 << 30, length: 100 << 30))
    var seal = fixture.seal(id, of: [], base: nil)
    (seal.size, seal.fingerprint, seal.nonZeroBlocks) = (size, sum.fingerprint, sum.nonZeroBlocks)
    guard case .prepared = try area.seal(fixture.request(seal)) else { throw TargetFixture.Unexpected("mismatch") }
    let point = try fixture.store.publish(id, of: fixture.source)
    let verification = try fixture.store.verify(point, key: fixture.key)
    #expect(verification.matchesSeal)
    #expect(verification.bytesRead <= 3 << 20)
    let used = try LoopFileSystem.run(["du", "-k", "--summarize", point.paths.directory])
    #expect((Int(used.split(separator: "\t")[0]) ?? .max) < 1024)
  }

  @Test func ext4HoldsNoPointsAndSaysWhatHelps() throws {
    let fileSystem = try LoopFileSystem(.ext4)
    defer { fileSystem.close() }
    let fixture = try TargetFixture(realPool: fileSystem.path)
    #expect(fixture.pool.pointRefusal?.remedy?.contains("btrfs") == true)
  }
}
