import BlockDiff
import ReplModel
import TestSupport
import Testing

@Suite struct BlockTrimTests {
  private func runs(_ new: [UInt8], _ base: [UInt8], at offset: UInt64) -> [Extent] {
    var found: [Extent] = []
    new.withUnsafeBytes { new in
      base.withUnsafeBytes { BlockTrim.differingRuns(new: new, base: $0, at: offset, into: &found) }
    }
    return found
  }

  @Test(arguments: 0..<200)
  func findsExactlyTheBlocksThatDiffer(seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    let count = random.below(40_000)
    var base = (0..<count).map { _ in random.chance(50) ? UInt8(random.below(256)) : 0 }
    var new = base
    for _ in 0..<random.below(6) where count > 0 { new[random.below(count)] ^= UInt8(1 + random.below(255)) }
    if random.chance(30) { base = Array(base.prefix(random.below(count + 1))) }
    let offset = UInt64(random.below(1000)) * blockSize
    var expected = ExtentSet()
    for start in stride(from: 0, to: count, by: Int(blockSize)) {
      let end = min(start + Int(blockSize), count)
      let old = (start..<end).map { $0 < base.count ? base[$0] : 0 }
      if old != Array(new[start..<end]) {
        expected.insert(Extent(from: offset + UInt64(start), to: offset + UInt64(end)))
      }
    }
    #expect(runs(new, base, at: offset) == expected.extents)
  }

  @Test func keepsWhatTheArrayHeldBefore() {
    var found = [Extent(offset: 0, length: 1)]
    [UInt8](repeating: 1, count: 4096).withUnsafeBytes { new in
      [UInt8](repeating: 0, count: 4096).withUnsafeBytes {
        BlockTrim.differingRuns(new: new, base: $0, at: 8192, into: &found)
      }
    }
    #expect(found == [Extent(offset: 0, length: 1), Extent(offset: 8192, length: 4096)])
  }

  @Test func tellsBlocksOfZeros() {
    var bytes = [UInt8](repeating: 0, count: 10_000)
    bytes[9_999] = 1
    bytes.withUnsafeBytes {
      #expect(BlockTrim.isZeroBlock($0, at: 0) && BlockTrim.isZeroBlock($0, at: 4096))
      #expect(!BlockTrim.isZeroBlock($0, at: 8192))
    }
  }
}
