import ReplModel
import TestSupport
import Testing

@testable import BlockDiff

/// What the images of a volume take in their pool.
@Suite struct StoredBytesTests {
  /// Bytes in use on the simulated disk, the pool's own files left out.
  private func used(_ fixture: TargetFixture) throws -> UInt64 {
    let space = try fixture.disk.space(at: "/pool")
    return space.total - space.available
  }

  @Test(arguments: 0..<20 as Range<UInt64>) func sharedBlocksCountOnce(seed: UInt64) throws {
    var fixture = try TargetFixture(seed: seed)
    let empty = try used(fixture)
    var bytes = fixture.randomVolume(blocks: 200, extra: 5)
    var points = [try fixture.makePoint(bytes)]
    for generation in 2...6 as ClosedRange<UInt64> {
      let next = fixture.mutated(bytes, changes: 10)
      let base = try #require(points.last)
      if generation == 4 { try fixture.store.prepareReadyClone(of: base) }
      points.append(try fixture.makePoint(next, base: (base.id, bytes), generation: generation))
      bytes = next
      #expect(try fixture.store.storedBytes(of: fixture.source) == used(fixture) - empty, "seed \(seed)")
    }
    while points.count > 1 {
      let victim = points.remove(at: Int.random(in: 0..<points.count, using: &fixture.generator))
      try fixture.store.delete(victim.id, of: fixture.source)
      let (stored, real) = (try fixture.store.storedBytes(of: fixture.source), try used(fixture) - empty)
      #expect(stored == real, "seed \(seed), \(points.count) points left")
    }
  }

  @Test func stagingAndReadyClonesCountWithWhatIsTheirOwn() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 200)
    let point = try fixture.makePoint(bytes)
    let before = try fixture.store.storedBytes(of: fixture.source)
    try fixture.store.prepareReadyClone(of: point)
    let ready = try fixture.store.storedBytes(of: fixture.source)
    #expect(ready - before <= blockSize, "only its header is its own")
    let area = try fixture.open(fixture.identity(fixture.newID(), base: point.id, size: bytes.count))
    let block = BytePattern.random(count: Int(blockSize), using: &fixture.generator)
    for index in 0..<10 as Range<UInt64> {
      try block.withUnsafeBufferPointer { try area.write(UnsafeRawBufferPointer($0), at: index * 5 * blockSize) }
    }
    try area.close()
    let staged = try fixture.store.storedBytes(of: fixture.source) - before
    #expect(staged >= 10 * blockSize && staged <= 13 * blockSize)
  }

  @Test func imagesThatShareNothingCountWhole() throws {
    var fixture = try TargetFixture()
    let bytes = BytePattern.random(count: 100 * Int(blockSize), using: &fixture.generator)
    try fixture.makePoint(bytes)
    let one = try fixture.store.storedBytes(of: fixture.source)
    try fixture.makePoint(bytes, generation: 2)
    #expect(try fixture.store.storedBytes(of: fixture.source) == 2 * one)
  }
}

/// The same on the file systems that pools are made of.
@Suite(.requiresLoopDevices) struct StoredBytesOnLoopDevicesTests {
  @Test(arguments: [(LoopFileSystem.Kind.xfs, ""), (.btrfs, ""), (.btrfs, "compress-force=zstd")])
  func sharedBlocksCountOnce(kind: LoopFileSystem.Kind, options: String) throws {
    let fileSystem = try LoopFileSystem(kind, options: options)
    defer { fileSystem.close() }
    var fixture = try TargetFixture(seed: 3, realPool: fileSystem.path)
    var bytes = BytePattern.random(count: 2000 * Int(blockSize), using: &fixture.generator)
    var point = try fixture.makePoint(bytes)
    let one = try fixture.store.storedBytes(of: fixture.source)
    #expect(one >= UInt64(bytes.count) && one < UInt64(bytes.count) + (256 << 10))
    for generation in 2...5 as ClosedRange<UInt64> {
      try fixture.store.prepareReadyClone(of: point)
      var next = bytes
      for block in 0..<10 {
        let start = block * 150 * Int(blockSize)
        let fresh = BytePattern.random(count: Int(blockSize), using: &fixture.generator)
        next.replaceSubrange(start..<start + Int(blockSize), with: fresh)
      }
      point = try fixture.makePoint(next, base: (point.id, bytes), generation: generation)
      bytes = next
    }
    let all = try fixture.store.storedBytes(of: fixture.source)
    #expect(all >= one + 4 * 10 * blockSize, "what each point changed is counted")
    #expect(all < one + (2 << 20), "and what it shares is not counted again")
  }
}
