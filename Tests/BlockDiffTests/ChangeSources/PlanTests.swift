import BlockDiff
import ReplModel
import TestSupport
import Testing

@Suite struct PlanTests {
  private let storage = LinuxStorage()

  /// A random plan: ascending, disjoint, neighbours of one kind do not touch.
  private func randomPlan(_ random: inout SeededGenerator, count: Int) -> (extents: [PlannedExtent], size: UInt64) {
    var extents: [PlannedExtent] = []
    var end: UInt64 = 0
    for _ in 0..<count {
      let gap = UInt64(random.below(4)) * blockSize
      let length = UInt64(1 + random.below(random.chance(10) ? 1000 : 20)) * blockSize
      let kind: PlanKind = random.chance(25) ? .zero : .data
      if gap == 0, let last = extents.last, last.kind == kind {
        extents[extents.count - 1].extent.length += length
      } else {
        extents.append(PlannedExtent(extent: Extent(offset: end + gap, length: length), kind: kind))
      }
      end += gap + length
    }
    return (extents, end + UInt64(random.below(10_000)))
  }

  private func write(_ path: String, _ extents: [PlannedExtent], size: UInt64) throws -> PlanSummary {
    let plan = try PlanFile(creating: path, volumeSize: size, storage: storage)
    for extent in extents { try plan.append(extent.extent, extent.kind) }
    return try plan.finish()
  }

  private func read(_ path: String) throws -> [PlannedExtent] {
    let reader = try PlanReader(path, storage: storage)
    var found: [PlannedExtent] = []
    while let next = try reader.next() { found.append(next) }
    try reader.close()
    return found
  }

  @Test(arguments: [0, 1, 2, 2729, 2730, 2731, 9000])
  func readsBackWhatWasWritten(count: Int) throws {
    let scratch = try TemporaryDirectory()
    var random = SeededGenerator(seed: UInt64(count))
    let (extents, size) = randomPlan(&random, count: count)
    let summary = try write(scratch.file("plan"), extents, size: size)
    #expect(try read(scratch.file("plan")) == extents)
    #expect(summary.records == UInt64(extents.count))
    #expect(summary.dataBytes == extents.filter { $0.kind == .data }.reduce(0) { $0 + $1.extent.length })
    #expect(summary.zeroBytes == extents.filter { $0.kind == .zero }.reduce(0) { $0 + $1.extent.length })
    #expect(try PlanReader(scratch.file("plan"), storage: storage).summary == summary)
  }

  @Test func theDigestNamesThePlan() throws {
    let scratch = try TemporaryDirectory()
    var random = SeededGenerator(seed: 7)
    let (extents, size) = randomPlan(&random, count: 4000)
    let digest = try write(scratch.file("one"), extents, size: size).digest
    #expect(try write(scratch.file("two"), extents, size: size).digest == digest)
    #expect(try write(scratch.file("other size"), extents, size: size + 1).digest != digest)
    for dropped in [0, 1999, extents.count - 1] {
      var fewer = extents
      fewer.remove(at: dropped)
      #expect(try write(scratch.file("fewer"), fewer, size: size).digest != digest)
    }
    var otherKind = extents
    otherKind[5].kind = otherKind[5].kind == .data ? .zero : .data
    #expect(try write(scratch.file("kind"), otherKind, size: size).digest != digest)
  }

  @Test func neighboursOfOneKindAreOneRecord() throws {
    let scratch = try TemporaryDirectory()
    let parts = (0..<10).map { PlannedExtent(extent: Extent(offset: $0 * 4096, length: 4096), kind: .data) }
    #expect(try write(scratch.file("plan"), parts, size: 40_960).records == 1)
  }

  @Test func refusesExtentsOutOfOrder() throws {
    let scratch = try TemporaryDirectory()
    let plan = try PlanFile(creating: scratch.file("plan"), volumeSize: 1 << 20, storage: storage)
    try plan.append(Extent(offset: 8192, length: 4096), .data)
    #expect(throws: ReplError.self) { try plan.append(Extent(offset: 4096, length: 4096), .data) }
    #expect(throws: ReplError.self) { try plan.append(Extent(offset: 1 << 20, length: 4096), .data) }
    plan.discard()
    #expect(try !storage.exists(scratch.file("plan")))
  }

  @Test func aFinishedPlanIsDurableWithItsName() throws {
    let scratch = try TemporaryDirectory()
    let recording = RecordingStorage(storage)
    recording.gate.startLog()
    let plan = try PlanFile(creating: scratch.file("plan"), volumeSize: 1 << 20, storage: recording)
    try plan.append(Extent(offset: 0, length: 4096), .data)
    _ = try plan.finish()
    let log = recording.gate.log
    let written = try #require(log.lastIndex { $0.kind == .write })
    let sync = try #require(log.lastIndex { $0.kind == .synchronize })
    let name = try #require(log.lastIndex { $0.kind == .synchronizeDirectory && $0.path == scratch.path })
    #expect(written < sync && sync < name)
  }

  @Test func anUnfinishedPlanIsRefused() throws {
    let scratch = try TemporaryDirectory()
    let plan = try PlanFile(creating: scratch.file("plan"), volumeSize: 1 << 30, storage: storage)
    for index in 0..<3000 { try plan.append(Extent(offset: UInt64(index) * 8192, length: 4096), .data) }
    let error = #expect(throws: ReplError.self) { try PlanReader(scratch.file("plan"), storage: storage) }
    #expect(error?.kind == .damaged)
  }

  @Test(arguments: 0..<60)
  func anyFlippedBitThatMattersIsNoticed(seed: Int) throws {
    let scratch = try TemporaryDirectory()
    var random = SeededGenerator(seed: UInt64(seed))
    let (extents, size) = randomPlan(&random, count: 3000)
    _ = try write(scratch.file("plan"), extents, size: size)
    var bytes = try storage.bytes(scratch.file("plan"))
    // The rest of the header's block and the end of a page that is not full hold nothing.
    var place = 72 + 4096
    repeat { place = random.below(bytes.count) } while (72..<4096).contains(place)
    bytes[place] ^= 1 << UInt8(random.below(8))
    try storage.removeFile(scratch.file("plan"))
    try storage.make(scratch.file("plan"), bytes)
    // Four bytes between the pages hold nothing either.
    let isGap = place >= 4096 && (place - 4096) % 65_536 >= 65_536
    if !isGap { #expect(throws: ReplError.self) { try read(scratch.file("plan")) } }
  }

  @Test func aTruncatedPlanIsNoticed() throws {
    let scratch = try TemporaryDirectory()
    var random = SeededGenerator(seed: 3)
    let (extents, size) = randomPlan(&random, count: 6000)
    _ = try write(scratch.file("plan"), extents, size: size)
    let file = try storage.openFile(scratch.file("plan"), .readWrite)
    try file.truncate(to: try file.size() - 1)
    try file.close()
    #expect(throws: ReplError.self) { try read(scratch.file("plan")) }
  }
}

@Suite struct WorkItemCursorTests {
  private let storage = LinuxStorage()

  private func cursor(
    _ path: String, _ extents: [PlannedExtent], size: UInt64, settled: ExtentSet? = nil
  ) throws -> WorkItemCursor {
    let plan = try PlanFile(creating: path, volumeSize: size, storage: storage)
    for extent in extents { try plan.append(extent.extent, extent.kind) }
    _ = try plan.finish()
    return WorkItemCursor(try PlanReader(path, storage: storage), settled: settled.map { ExtentSetStream($0) })
  }

  /// A random plan with a gap before each extent, and where it ends.
  private func gappedPlan(_ random: inout SeededGenerator) -> (extents: [PlannedExtent], end: UInt64) {
    var extents: [PlannedExtent] = []
    var end: UInt64 = 0
    for _ in 0..<random.below(80) {
      let start = end + UInt64(1 + random.below(300)) * blockSize
      end = start + UInt64(1 + random.below(random.chance(20) ? 2000 : 30)) * blockSize
      let extent = Extent(from: start, to: end)
      extents.append(PlannedExtent(extent: extent, kind: random.chance(25) ? .zero : .data))
    }
    return (extents, end)
  }

  @Test(arguments: 0..<60)
  func handsOutEveryPlannedByteOnceInSegments(seed: Int) throws {
    let scratch = try TemporaryDirectory()
    var random = SeededGenerator(seed: UInt64(seed))
    let (extents, end) = gappedPlan(&random)
    var durable = ExtentSet()
    for _ in 0..<random.below(60) {
      let start = UInt64(random.below(Int(end / blockSize) + 1)) * blockSize
      durable.insert(Extent(offset: start, length: UInt64(1 + random.below(512)) * blockSize))
    }
    let cursor = try cursor(scratch.file("plan"), extents, size: end, settled: durable)
    var lastSegment: UInt64?
    var found: [PlanKind: ExtentSet] = [:]
    var (bytes, held): (UInt64, ExtentSet) = (0, ExtentSet())
    while let item = try cursor.next() {
      #expect(lastSegment.map { $0 < item.segment } ?? true)
      lastSegment = item.segment
      #expect(!item.pieces.isEmpty)
      for piece in item.pieces {
        #expect(piece.extent.offset / segmentSize == item.segment)
        #expect((piece.extent.end - 1) / segmentSize == item.segment)
        #expect(!piece.extent.isEmpty)
        found[piece.kind, default: ExtentSet()].insert(piece.extent)
        if piece.isSettled { held.insert(piece.extent) }
        bytes += piece.extent.length
      }
    }
    for kind in [PlanKind.data, .zero] {
      let planned = ExtentSet(extents.filter { $0.kind == kind }.map(\.extent))
      #expect(found[kind, default: ExtentSet()] == planned)
    }
    let planned = ExtentSet(extents.map(\.extent))
    #expect(bytes == planned.byteCount)
    #expect(held == planned.intersection(durable))
    #expect(try cursor.next() == nil)
  }

  /// What a peer says is durable may begin and end anywhere.
  @Test(arguments: 0..<60)
  func handsOutWholeBlocksWhateverIsDurable(seed: Int) throws {
    let scratch = try TemporaryDirectory()
    var random = SeededGenerator(seed: UInt64(seed))
    let (extents, end) = gappedPlan(&random)
    var durable = ExtentSet()
    for _ in 0..<random.below(60) {
      durable.insert(
        Extent(offset: UInt64(random.below(Int(end) + 1)), length: UInt64(1 + random.below(512 * Int(blockSize)))))
    }
    let cursor = try cursor(scratch.file("plan"), extents, size: end, settled: durable)
    var (bytes, found): (UInt64, ExtentSet) = (0, ExtentSet())
    while let item = try cursor.next() {
      for piece in item.pieces {
        #expect(piece.extent.isWholeBlocks(ofVolume: end), "\(random): \(piece.extent)")
        let held = ExtentSet([piece.extent])
        if piece.isSettled { #expect(held.subtracting(durable).isEmpty, "\(random): \(piece.extent) is not there") }
        found.insert(piece.extent)
        bytes += piece.extent.length
      }
    }
    let planned = ExtentSet(extents.map(\.extent))
    #expect(found == planned, "\(random)")
    #expect(bytes == planned.byteCount, "\(random)")
  }

  @Test func severalThreadsShareThePlanWithoutGapsOrDoubles() async throws {
    let scratch = try TemporaryDirectory()
    let whole = PlannedExtent(extent: Extent(offset: 0, length: 500 << 20), kind: .data)
    let cursor = try cursor(scratch.file("plan"), [whole], size: 500 << 20)
    let segments = try await withThrowingTaskGroup(of: [UInt64].self) { group in
      for _ in 0..<4 {
        group.addTask {
          var mine: [UInt64] = []
          while let item = try cursor.next() { mine.append(item.segment) }
          return mine
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    #expect(segments.sorted() == Array(0..<500))
  }
}
