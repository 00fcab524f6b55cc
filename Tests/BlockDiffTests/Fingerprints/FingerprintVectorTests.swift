import BlockDiff
import ReplModel
import TestSupport
import Testing

/// The test vectors of docs/on-disk-format.md: fixed for ever, because two sites compare these numbers.
@Suite struct FingerprintVectorTests {
  private func sum(_ bytes: [UInt8]) -> String {
    let walk = FingerprintWalk(key: VectorKey.key)
    let sum = bytes.withUnsafeBytes { walk.sum(of: $0, at: 0) }
    return "\(sum.fingerprint) \(sum.nonZeroBlocks)"
  }

  private let zeros = [UInt8](repeating: 0, count: 4096)

  @Test func keyID() {
    #expect(String(VectorKey.key.id, radix: 16) == "4ed998764c521fac")
  }

  @Test func nothing() { #expect(sum([]) == "00000000000000000000000000000000 0") }

  @Test func oneBlock() { #expect(sum(VectorKey.block(1)) == "f7f603d4a89e6dd8196e63a2aa6806b1 1") }

  @Test func twoBlocks() {
    #expect(sum(VectorKey.block(1) + VectorKey.block(2)) == "9fa49f0fa00171efa9a9cf430d868d89 2")
  }

  @Test func theSameTwoBlocksSwapped() {
    #expect(sum(VectorKey.block(2) + VectorKey.block(1)) == "7505c8005155e45756b11c27b67bb43f 2")
  }

  @Test func aBlockAfterAHole() { #expect(sum(zeros + VectorKey.block(1)) == "b8d25b4a78923251f70379ad25b4e64e 1") }

  @Test func aPartialLastBlock() {
    #expect(sum(VectorKey.block(1) + [0xff, 0x01, 0x02]) == "2e59de5740ac3a2ab520418c14c3a46c 2")
  }
}
