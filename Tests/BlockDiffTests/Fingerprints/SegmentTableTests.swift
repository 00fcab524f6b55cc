import BlockDiff
import ReplModel
import TestSupport
import Testing

@Suite struct SegmentTableTests {
  private let disk = SimulatedDisk()
  private let size: UInt64 = 1000 << 20

  private func sum(_ tag: UInt64) -> BlockSum {
    BlockSum(fingerprint: Fingerprint(low: tag, high: ~tag), nonZeroBlocks: tag % 256 + 1)
  }

  @Test func entriesComeBackInAnyOrderOfWriting() throws {
    var generator = SeededGenerator(seed: 11)
    let table = try SegmentTable.create("/t", volumeSize: size, keyID: 9, in: disk)
    var model: [UInt64: BlockSum] = [:]
    var editor = SegmentTableEditor(table)
    for step in 0..<400 {
      let segment = UInt64.random(in: 0..<1000, using: &generator)
      let value = generator.oneIn(5) ? BlockSum.zero : sum(UInt64(step))
      try editor.set(segment: segment, value)
      model[segment] = value
    }
    try editor.flush()
    try table.close()
    let again = try SegmentTable.open("/t", in: disk)
    #expect(again.volumeSize == size)
    #expect(again.keyID == 9)
    for segment in 0..<UInt64(1000) {
      let found = try again.sum(ofSegment: segment)
      #expect(found == model[segment] ?? .zero)
    }
    let total = try again.total()
    #expect(total == model.values.reduce(.zero, +))
  }

  @Test func onlyTouchedPagesTakeRoom() throws {
    let huge: UInt64 = 1 << 40
    let table = try SegmentTable.create("/t", volumeSize: huge, keyID: 9, in: disk)
    var editor = SegmentTableEditor(table)
    for segment in [0, 500_000, 1_048_575] as [UInt64] { try editor.set(segment: segment, sum(segment)) }
    try editor.flush()
    let data = try disk.open("/t", .read).extentMap(from: 0, limit: 100, sync: false)
    #expect(data.reduce(0) { $0 + $1.logical.length } <= 4 * 4096)
    disk.gate.startLog()
    let total = try table.total()
    #expect(total == sum(0) + sum(500_000) + sum(1_048_575))
    let read = disk.gate.log.compactMap { $0.kind == .read ? $0.extent?.length : nil }.reduce(0, +)
    #expect(read <= 4 * 4096)
  }

  @Test func aCloneSharesWhatWasNotTouched() throws {
    let table = try SegmentTable.create("/t", volumeSize: size, keyID: 9, in: disk)
    var editor = SegmentTableEditor(table)
    for segment in 0..<UInt64(1000) { try editor.set(segment: segment, sum(segment)) }
    try editor.flush()
    let clone = try SegmentTable.clone(table, to: "/u", volumeSize: size, in: disk)
    var second = SegmentTableEditor(clone)
    try second.set(segment: 700, sum(7))
    try second.flush()
    let original = try physicals("/t")
    #expect(original.subtracting(try physicals("/u")).count == 1)
    let untouched = try table.sum(ofSegment: 700)
    #expect(untouched == sum(700))
  }

  private func physicals(_ path: String) throws -> Set<UInt64> {
    let map = try disk.open(path, .read).extentMap(from: 0, limit: 1000, sync: false)
    return Set(map.flatMap { run in stride(from: 0, to: run.logical.length, by: 4096).map { run.physical + $0 } })
  }

  @Test func aCloneForAnotherSizeHasThatSizesEntries() throws {
    let table = try SegmentTable.create("/t", volumeSize: size, keyID: 9, in: disk)
    var editor = SegmentTableEditor(table)
    try editor.set(segment: 10, sum(10))
    try editor.set(segment: 900, sum(900))
    try editor.flush()
    let small = try SegmentTable.clone(table, to: "/small", volumeSize: (20 << 20) + 1, in: disk)
    #expect(small.segmentCount == 21)
    let large = try SegmentTable.clone(small, to: "/large", volumeSize: size, in: disk)
    let total = try SegmentTable.open("/large", in: disk).total()
    #expect(total == sum(10))
    #expect(large.segmentCount == 1000)
  }

  @Test func aFlippedBitInAnEntryIsSeen() throws {
    let table = try SegmentTable.create("/t", volumeSize: size, keyID: 9, in: disk)
    var editor = SegmentTableEditor(table)
    try editor.set(segment: 3, sum(3))
    try editor.flush()
    for byte in 0..<UInt64(32) {
      disk.corrupt("/t", at: 4096 + 3 * 32 + byte, bit: 5)
      #expect(errorKind { _ = try table.sum(ofSegment: 3) } == .damaged, "byte \(byte)")
      #expect(errorKind { _ = try table.total() } == .damaged)
      disk.corrupt("/t", at: 4096 + 3 * 32 + byte, bit: 5)
    }
    let healed = try table.sum(ofSegment: 3)
    #expect(healed == sum(3))
  }

  @Test func anEntryAtAnotherPlaceIsSeen() throws {
    let table = try SegmentTable.create("/t", volumeSize: size, keyID: 9, in: disk)
    var editor = SegmentTableEditor(table)
    try editor.set(segment: 3, sum(3))
    try editor.flush()
    let entry = Array((disk.contents("/t") ?? [])[4096 + 96..<4096 + 128])
    disk.tamper("/t", at: 4096 + 4 * 32, entry)
    #expect(errorKind { _ = try table.sum(ofSegment: 4) } == .damaged)
  }

  @Test func anotherVersionIsRefusedByName() throws {
    try SegmentTable.create("/t", volumeSize: size, keyID: 9, in: disk).close()
    disk.tamper("/t", at: 8, [2])
    do {
      _ = try SegmentTable.open("/t", in: disk)
      Issue.record("opened")
    } catch {
      #expect(error.kind == .refused)
      #expect(error.cause.contains("version 2"))
    }
  }

  @Test(arguments: [0, 4, 13, 18, 30, 39]) func aDamagedHeaderIsRefused(byte: UInt64) throws {
    try SegmentTable.create("/t", volumeSize: size, keyID: 9, in: disk).close()
    disk.corrupt("/t", at: byte)
    #expect(errorKind { _ = try SegmentTable.open("/t", in: disk) } == .damaged)
  }
}
