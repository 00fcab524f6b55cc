import BlockDiff
import ReplModel
import TestSupport
import Testing

@Suite struct FingerprintScanTests {
  private let disk = SimulatedDisk()
  private let key = VectorKey.key

  private func file(_ bytes: [UInt8]) throws -> any StorageFile {
    let file = try disk.open("/f", .createNew)
    for start in stride(from: 0, to: bytes.count, by: 4096) {
      let part = Array(bytes[start..<min(start + 4096, bytes.count)])
      guard part.contains(where: { $0 != 0 }) else { continue }
      try part.withUnsafeBufferPointer { try file.write(UnsafeRawBufferPointer($0), at: UInt64(start)) }
    }
    try file.truncate(to: UInt64(bytes.count))
    return file
  }

  @Test(arguments: 0..<30 as Range<UInt64>) func equalsTheFormulaOnSparseFilesOfAnySize(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    var bytes: [UInt8] = []
    for _ in 0..<Int.random(in: 0...600, using: &generator) {
      bytes +=
        generator.oneIn(2)
        ? [UInt8](repeating: 0, count: 4096) : BytePattern.random(count: 4096, using: &generator)
    }
    bytes += BytePattern.random(count: Int.random(in: 0..<4096, using: &generator), using: &generator)
    var segments: [UInt64: BlockSum] = [:]
    let sum = try FingerprintScan.sum(of: try file(bytes), size: UInt64(bytes.count), key: key, pace: { _ in }) {
      index, sum in
      #expect(segments.updateValue(sum, forKey: index) == nil)
    }
    #expect(sum == TargetFixture.referenceSum(bytes, key))
    #expect(segments.values.reduce(.zero, +) == sum)
  }

  @Test func readsWhatIsAllocatedAndNothingElse() throws {
    let file = try disk.open("/f", .createNew)
    let block = BytePattern.bytes(tag: 1, count: 4096)
    for offset in [0, 5 << 30, 9 << 30] as [UInt64] {
      try block.withUnsafeBufferPointer { try file.write(UnsafeRawBufferPointer($0), at: offset) }
    }
    try file.truncate(to: 1 << 40)
    disk.gate.startLog()
    var paced: UInt64 = 0
    let sum = try FingerprintScan.sum(of: file, size: 1 << 40, key: key, pace: { paced += $0 })
    #expect(sum.nonZeroBlocks == 3)
    #expect(paced == 3 * 4096)
    let reads = disk.gate.log.filter { $0.kind == .read }
    #expect(reads.reduce(0) { $0 + ($1.extent?.length ?? 0) } == 3 * 4096)
  }

  @Test func bytesBeyondTheVolumesSizeAreNotRead() throws {
    let bytes = BytePattern.bytes(tag: 1, count: 8192)
    let sum = try FingerprintScan.sum(of: try file(bytes), size: 5000, key: key)
    #expect(sum == TargetFixture.referenceSum(Array(bytes[..<5000]), key))
  }

  @Test func aShorterFileIsAnErrorAndNotZeros() throws {
    let file = try file(BytePattern.bytes(tag: 1, count: 5000))
    #expect(errorKind { _ = try FingerprintScan.sum(of: file, size: 8192, key: key) } == .io)
  }

  @Test func anErrorOfAReadIsAnErrorAndNotZeros() throws {
    let file = try file(BytePattern.bytes(tag: 1, count: 8192))
    disk.gate.fail(with: ReplError(.io, subject: "/f", cause: "input/output error")) { $0.kind == .read }
    #expect(errorKind { _ = try FingerprintScan.sum(of: file, size: 8192, key: key) } == .io)
  }

  @Test func stopsWhenThePaceSaysSo() throws {
    let file = try file(BytePattern.bytes(tag: 1, count: 3 << 20))
    var reads = 0
    let kind = errorKind {
      _ = try FingerprintScan.sum(
        of: file, size: 3 << 20, key: key,
        pace: { (_) throws(ReplError) in
          reads += 1
          if reads == 2 { throw ReplError(.cancelled, subject: "scrub", cause: "was stopped") }
        })
    }
    #expect(kind == .cancelled)
    #expect(reads == 2)
  }
}
