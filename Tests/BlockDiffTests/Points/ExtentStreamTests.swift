import BlockDiff
import ReplModel
import TestSupport
import Testing

@Suite struct ExtentStreamTests {
  private func random(_ generator: inout SeededGenerator) -> ExtentSet {
    ExtentSet(
      (0..<Int.random(in: 0...30, using: &generator)).map { _ in
        Extent(
          offset: UInt64.random(in: 0..<100_000, using: &generator),
          length: UInt64.random(in: 1...9000, using: &generator))
      })
  }

  @Test(arguments: 0..<100 as Range<UInt64>) func aUnionIsCoalescedAndComplete(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let (left, right) = (random(&generator), random(&generator))
    let merged = try collect(ExtentUnion(ExtentSetStream(left), ExtentSetStream(right)))
    #expect(merged == left.union(right).extents)
  }

  @Test(arguments: 0..<100 as Range<UInt64>) func roundingOutwardGivesNoBlockTwice(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let set = random(&generator)
    let size: UInt64 = 90_001
    let rounded = try collect(BlockRoundedStream(ExtentSetStream(set), volumeSize: size))
    #expect(rounded == ExtentSet(set.extents.map { $0.roundedToBlocks(volumeSize: size) }).extents)
    for extent in rounded {
      #expect(extent.offset % blockSize == 0)
      #expect(extent.end % blockSize == 0 || extent.end == size)
    }
  }
}
