import ReplModel
import TestSupport
import Testing

@testable import BlockDiff

@Suite struct LedgerTests {
  private let disk = SimulatedDisk()
  private let binding = Fingerprint(low: 7, high: 8)
  private let size: UInt64 = 64 << 20

  private func create() throws -> Ledger {
    try Ledger.create("/ledger", binding: binding, volumeSize: size, in: disk)
  }

  private func open() throws -> Ledger {
    try Ledger.open("/ledger", binding: binding, volumeSize: size, in: disk)
  }

  private func randomBatch(_ generator: inout SeededGenerator, count: Int) -> ExtentSet {
    ExtentSet(
      (0..<count).map { _ in
        let block = UInt64.random(in: 0..<size / blockSize - 8, using: &generator)
        return Extent(
          offset: block * blockSize, length: UInt64.random(in: 1...8, using: &generator) * blockSize)
      })
  }

  @Test(arguments: 0..<20 as Range<UInt64>) func mergesToTheUnionOfAllBatches(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    var ledger = try create()
    var model = ExtentSet()
    for _ in 0..<Int.random(in: 0...60, using: &generator) {
      let batch = randomBatch(&generator, count: Int.random(in: 1...200, using: &generator))
      try ledger.append(batch)
      for extent in batch.extents { model.insert(extent) }
    }
    let merged = try collect(ledger.merged())
    #expect(merged == model.extents)
    let again = try collect(try open().merged())
    #expect(again == model.extents)
  }

  @Test func ascendingBatchesAreOneRun() throws {
    var ledger = try create()
    for index in 0..<UInt64(1000) { try ledger.append(ExtentSet([Extent(offset: index * 8192, length: 4096)])) }
    #expect(ledger.runs.count == 1)
    let merged = try collect(ledger.merged())
    #expect(merged.count == 1000)
  }

  @Test func manyRunsAreCompactedSoThatMemoryStaysBounded() throws {
    var generator = SeededGenerator(seed: 5)
    var ledger = try create()
    var model = ExtentSet()
    var mostRuns = 0
    for _ in 0..<700 {
      let batch = randomBatch(&generator, count: 3)
      try ledger.append(batch)
      for extent in batch.extents { model.insert(extent) }
      mostRuns = max(mostRuns, ledger.runs.count)
    }
    #expect(mostRuns <= Ledger.runLimit)
    let merged = try collect(ledger.merged())
    #expect(merged == model.extents)
    let reopened = try open()
    let again = try collect(reopened.merged())
    #expect(again == model.extents)
    #expect(reopened.runs.count <= Ledger.runLimit)
  }

  @Test func aStreamOutlivesCompaction() throws {
    var ledger = try create()
    let count = UInt64(Ledger.runLimit)
    for index in (0..<count).reversed() { try ledger.append(ExtentSet([Extent(offset: index * 8192, length: 4096)])) }
    let stream = ledger.merged()
    try ledger.append(ExtentSet([Extent(offset: 4096, length: 4096)]))
    try ledger.append(ExtentSet([Extent(offset: 0, length: 4096)]))
    #expect(ledger.runs.count < 5)
    let before = try collect(stream)
    #expect(before.count == Int(count))
  }

  @Test func largeBatchesAreSplitIntoRecords() throws {
    var ledger = try create()
    let batch = ExtentSet((0..<UInt64(LedgerRecord.maximumCount + 1)).map { Extent(offset: $0 * 8192, length: 4096) })
    try ledger.append(batch)
    let merged = try collect(try open().merged())
    #expect(merged == batch.extents)
  }

  @Test func aTornTailIsCutAtEveryLength() throws {
    var ledger = try create()
    try ledger.append(ExtentSet([Extent(offset: 0, length: 4096), Extent(offset: 8192, length: 4096)]))
    let kept = try #require(disk.contents("/ledger")).count
    try ledger.append(ExtentSet([Extent(offset: 40960, length: 8192)]))
    let whole = try #require(disk.contents("/ledger"))
    for length in kept..<whole.count {
      let file = try disk.open("/ledger", .readWrite)
      try file.truncate(to: UInt64(length))
      var cut = try open()
      #expect(disk.contents("/ledger")?.count == kept)
      let merged = try collect(cut.merged())
      #expect(merged == [Extent(offset: 0, length: 4096), Extent(offset: 8192, length: 4096)])
      // What follows goes where the torn record was.
      try cut.append(ExtentSet([Extent(offset: 40960, length: 8192)]))
      #expect(disk.contents("/ledger") == whole)
    }
  }

  @Test func aFlippedBitLosesThatRecordAndWhatFollows() throws {
    var ledger = try create()
    let header = try #require(disk.contents("/ledger")).count
    for index in 0..<UInt64(3) { try ledger.append(ExtentSet([Extent(offset: index * 8192, length: 4096)])) }
    let whole = try #require(disk.contents("/ledger"))
    let record = (whole.count - header) / 3
    for byte in header + record..<header + 2 * record {
      let copy = SimulatedDisk()
      let file = try copy.open("/ledger", .createNew)
      var bytes = whole
      bytes[byte] ^= 0x10
      try bytes.withUnsafeBufferPointer { try file.write(UnsafeRawBufferPointer($0), at: 0) }
      let opened = try Ledger.open("/ledger", binding: binding, volumeSize: size, in: copy)
      let merged = try collect(opened.merged())
      #expect(merged == [Extent(offset: 0, length: 4096)], "byte \(byte)")
    }
  }

  @Test func aWholeRecordFromAnotherPlaceIsCut() throws {
    var ledger = try create()
    let header = try #require(disk.contents("/ledger")).count
    for index in 0..<UInt64(3) { try ledger.append(ExtentSet([Extent(offset: index * 8192, length: 4096)])) }
    let whole = try #require(disk.contents("/ledger"))
    let record = (whole.count - header) / 3
    let third = Array(whole[(header + 2 * record)...])
    let file = try disk.open("/ledger", .readWrite)
    try third.withUnsafeBufferPointer {
      try file.write(UnsafeRawBufferPointer($0), at: UInt64(header + record))
    }
    let merged = try collect(try open().merged())
    #expect(merged == [Extent(offset: 0, length: 4096)])
    #expect(disk.contents("/ledger")?.count == header + record)
  }

  @Test func aTailOfZerosIsCut() throws {
    var ledger = try create()
    try ledger.append(ExtentSet([Extent(offset: 0, length: 4096)]))
    let kept = try #require(disk.contents("/ledger")).count
    try disk.open("/ledger", .readWrite).truncate(to: 100_000)
    _ = try open()
    #expect(disk.contents("/ledger")?.count == kept)
  }

  @Test func anExtentBeyondTheVolumeIsNotBelieved() throws {
    var ledger = try create()
    try ledger.append(ExtentSet([Extent(offset: size - 4096, length: 4096)]))
    let smaller = try Ledger.open("/ledger", binding: binding, volumeSize: size - 4096, in: disk)
    #expect(smaller.isEmpty)
  }

  @Test func theLedgerOfAnotherStagingAreaIsRefused() throws {
    _ = try create()
    #expect(
      errorKind {
        _ = try Ledger.open("/ledger", binding: Fingerprint(low: 7, high: 9), volumeSize: size, in: disk)
      } == .damaged)
  }

  @Test(arguments: 0..<200 as Range<UInt64>) func aCrashLosesOnlyWhatWasNotAnswered(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    var ledger = try create()
    try disk.synchronizeDirectory("/")
    disk.gate.stopAfter(Int.random(in: 0...120, using: &generator))
    var answered = ExtentSet()
    var offered = ExtentSet()
    do {
      for _ in 0..<300 {
        let batch = randomBatch(&generator, count: Int.random(in: 1...300, using: &generator))
        for extent in batch.extents { offered.insert(extent) }
        try ledger.append(batch)
        for extent in batch.extents { answered.insert(extent) }
      }
    } catch {}
    disk.crash(using: &generator)
    let found = ExtentSet(try collect(try open().merged()))
    #expect(answered.subtracting(found).isEmpty, "seed \(seed)")
    #expect(found.subtracting(offered).isEmpty, "seed \(seed)")
  }
}
