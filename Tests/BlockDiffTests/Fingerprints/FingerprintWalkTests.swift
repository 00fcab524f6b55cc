import BlockDiff
import ReplModel
import TestSupport
import Testing

@Suite struct FingerprintWalkTests {
  private let walk = FingerprintWalk(key: VectorKey.key)

  private func sum(_ bytes: [UInt8], at offset: UInt64 = 0) -> BlockSum {
    bytes.withUnsafeBytes { walk.sum(of: $0, at: offset) }
  }

  @Test func equalsTheFormulaBlockByBlock() {
    var generator = SeededGenerator(seed: 3)
    for count in [0, 1, 4095, 4096, 4097, 40960, 50000] {
      let bytes = BytePattern.random(count: count, using: &generator)
      #expect(sum(bytes) == TargetFixture.referenceSum(bytes, VectorKey.key), "\(count) bytes")
    }
  }

  @Test func blocksOfZerosAddNothing() {
    #expect(sum([UInt8](repeating: 0, count: 10 * 4096 + 17)) == .zero)
  }

  @Test func swappedBlocksChangeTheSum() {
    let first = BytePattern.bytes(tag: 1, count: 4096)
    let second = BytePattern.bytes(tag: 2, count: 4096)
    #expect(sum(first + second) != sum(second + first))
    #expect(sum(first) != sum(first, at: 4096))
  }

  @Test func partsAddUpToTheWhole() {
    var generator = SeededGenerator(seed: 4)
    let bytes = BytePattern.random(count: 20 * 4096 + 5, using: &generator)
    var total = BlockSum.zero
    for start in stride(from: 0, to: bytes.count, by: 3 * 4096) {
      total += sum(Array(bytes[start..<min(start + 3 * 4096, bytes.count)]), at: UInt64(start))
    }
    #expect(total == sum(bytes))
    #expect(total - total == .zero)
  }

  @Test func lastPartialBlockCountsAsPaddedWithZeros() {
    let bytes = BytePattern.bytes(tag: 9, count: 5000)
    #expect(sum(bytes) == sum(bytes + [UInt8](repeating: 0, count: 8192 - 5000)))
  }

  @Test func anotherKeyGivesAnotherSum() {
    var generator = SeededGenerator(seed: 5)
    let other = FingerprintWalk(key: .random(using: &generator))
    let bytes = BytePattern.bytes(tag: 9, count: 8192)
    #expect(bytes.withUnsafeBytes { other.sum(of: $0, at: 0) } != sum(bytes))
    #expect(other.key.id != VectorKey.key.id)
  }
}

/// The key of the test vectors in docs/on-disk-format.md: byte i is (7 i + 3) mod 256.
enum VectorKey {
  static let key: FingerprintKey = {
    let bytes = (0..<FingerprintKey.byteCount).map { UInt8(truncatingIfNeeded: $0 * 7 + 3) }
    var unused = SeededGenerator(seed: 0)
    return FingerprintKey(bytes: bytes) ?? .random(using: &unused)
  }()

  /// Block `tag` of the vectors: byte j is (tag + j) mod 251.
  static func block(_ tag: Int) -> [UInt8] { (0..<4096).map { UInt8((tag + $0) % 251) } }
}
