import ReplModel
import TestSupport
import Testing

@testable import BlockDiff

/// Files with right checksums and nonsense in them, as a version with a fault or a hostile hand would leave them: each is read
/// for what it is worth or refused, and nothing that uses it traps.
@Suite struct ExtremeValueTests {
  private let disk = SimulatedDisk()

  private func put(_ path: String, _ bytes: [UInt8]) throws {
    try disk.removeFile(path)
    let file = try disk.open(path, .createNew)
    try file.writeArray(bytes, at: 0)
    try file.close()
  }

  /// The payload of an enveloped file with extreme numbers, enveloped again.
  private func variants(_ whole: [UInt8], _ envelope: Envelope) throws -> some Sequence<[UInt8]> {
    let payload = Array(whole[16..<whole.count - 8])
    try #require(envelope.encode(payload) == whole, "it is the payload that is varied")
    return ExtremeNumbers.variants(of: payload).lazy.map { envelope.encode($0) }
  }

  @Test func pointRecords() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 3)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: nil, size: bytes.count))
    try fixture.ship(bytes, into: area)
    _ = try area.seal(fixture.request(fixture.seal(id, of: bytes, base: nil)))
    let point = try fixture.store.publish(id, of: fixture.source)
    var accepted = 0
    for wrong in try variants(point.record.encoded, PointRecord.envelope) {
      try put("/seal", wrong)
      guard let record = try? PointRecord.read("/seal", in: disk) else { continue }
      accepted += 1
      let instants = [record.sealedAt, record.provenAt, record.seal.takenAt]
      for instant in instants {
        _ = instant.seconds(since: record.sealedAt)
        _ = instant.nanoseconds - record.origin.clockOffset
      }
      _ = Int64(record.seal.generation) + 1 + Int64(record.seal.branch.epoch)
      _ = Int64(record.seal.size)
      _ = segmentCount(ofVolume: record.seal.size) * segmentSize
    }
    #expect(accepted > 0)
  }

  @Test func ledgers() throws {
    let size: UInt64 = (8 << 20) + 100
    let good = [
      Extent(offset: 0, length: 4096), Extent(offset: 1 << 20, length: 8192), Extent(offset: 8 << 20, length: 100),
    ]
    let record = LedgerRecord.encode(good, sequence: 0)
    #expect(LedgerRecord.decode(record, count: 3, size: size) == good)
    var accepted = 0
    for body in ExtremeNumbers.variants(of: Array(record.dropLast(8))) {
      var writer = ByteWriter()
      writer.writeRaw(body)
      writer.write(checksum(of: body))
      guard let count = LedgerRecord.count(writer.bytes[..<16], sequence: nil), count <= 3 else { continue }
      guard let extents = LedgerRecord.decode(writer.bytes, count: count, size: size) else { continue }
      accepted += 1
      #expect(extents.allSatisfy { $0.isWholeBlocks(ofVolume: size) })
      _ = ExtentSet(extents).byteCount
    }
    #expect(accepted > 0)
  }

  /// Checked when it was opened, and read again while it is merged: the disk may say something else by then.
  @Test func aLedgerThatChangesUnderTheMergeIsDamaged() throws {
    var ledger = try Ledger.create("/ledger", binding: .zero, volumeSize: 64 << 20, in: disk)
    try ledger.append(ExtentSet([Extent(offset: 0, length: 4096), Extent(offset: 8192, length: 4096)]))
    let file = try disk.open("/ledger", .readWrite)
    for number in ExtremeNumbers.all where number > 8192 || number < 4096 {
      for field in [0, 8] as [UInt64] {
        try file.writeArray(
          (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }, at: Ledger.headerSize + 32 + field)
        #expect(try isWholeOrDamaged(ledger))
      }
    }
  }

  /// Whether all extents lie within the volume, or the ledger is said to be damaged.
  private func isWholeOrDamaged(_ ledger: Ledger) throws -> Bool {
    do throws(ReplError) {
      return try collect(ledger.merged()).allSatisfy { $0.end <= 64 << 20 }
    } catch {
      return error.kind == .damaged
    }
  }

  @Test func segmentTables() throws {
    let table = try SegmentTable.create("/table", volumeSize: 5 << 20, keyID: 1, in: disk)
    #expect(throws: ReplError.self) { try table.page(containing: 5) }
    #expect(throws: ReplError.self) { try table.sum(ofSegment: .max) }
    try table.close()
    for size in ExtremeNumbers.all {
      let isVolume = size <= UInt64(Int64.max)
      try putTable(volumeSize: size, segments: isVolume ? segmentCount(ofVolume: size) : 8)
      let opened = try? SegmentTable.open("/wrong", in: disk)
      #expect((opened != nil) == isVolume, "\(size) bytes")
      guard let opened else { continue }
      #expect(try opened.total() == .zero)
      #expect(throws: ReplError.self) { try opened.page(containing: opened.segmentCount) }
    }
  }

  /// A table of nothing but zeros, of the length that goes with `segments`.
  private func putTable(volumeSize: UInt64, segments: UInt64) throws {
    var payload = ByteWriter()
    payload.write(volumeSize)
    payload.write(UInt64(1))
    try put("/wrong", SegmentTable.envelope.encode(payload.bytes))
    let file = try disk.open("/wrong", .readWrite)
    try file.truncate(to: SegmentTable.headerSize + segments * UInt64(SegmentPage.entrySize))
    try file.close()
  }

  @Test func headersKeysAndPromotions() throws {
    let identity = StagingIdentity(
      base: nil, point: PointID(high: 1, low: 2), size: 4096, planDigest: .zero, kind: .full)
    try StagingHeader.staging(identity, of: nil).write(to: "/header", in: disk)
    var accepted = 0
    for wrong in try variants(try disk.readFile("/header", limit: 4096), StagingHeader.envelope) {
      try put("/header", wrong)
      guard case .staging(let identity, _)? = try StagingHeader.read("/header", in: disk) else { continue }
      accepted += 1
      _ = (identity.digest, segmentCount(ofVolume: identity.size) * segmentSize)
    }
    #expect(accepted > 0)
    let mark = PromotionMark(
      point: PointID(high: 1, low: 2), path: "/p", site: "west", promotedAt: Timestamp(nanoseconds: 1),
      branch: Branch(epoch: 1, id: BranchID(high: 1, low: 2)), isLive: true)
    accepted = 0
    for wrong in try variants(mark.encoded, PromotionMark.envelope) {
      guard let mark = try? PromotionMark(wrong, path: "/promotion") else { continue }
      accepted += 1
      _ = Int64(mark.branch.epoch) + 1
    }
    #expect(accepted > 0)
  }

  @Test func plansOfPartialBlocksAreDamaged() throws {
    var accepted = 0
    for number in ExtremeNumbers.all {
      for extent in [Extent(offset: number, length: 4096), Extent(offset: 0, length: number)] {
        try writePlan(extent, size: 1 << 30)
        guard let cursor = try? WorkItemCursor(PlanReader("/plan", storage: disk)) else { continue }
        var pieces: [PlannedPiece] = []
        while let item = try? cursor.next(), pieces.count < 2000 { pieces += item.pieces }
        accepted += pieces.count
        #expect(pieces.allSatisfy { $0.extent.isWholeBlocks(ofVolume: 1 << 30) })
      }
    }
    #expect(accepted > 0)
  }

  private func writePlan(_ extent: Extent, size: UInt64) throws {
    let page = AlignedBuffer(count: PlanFormat.pageSize)
    let used = page.prefix(PlanFormat.chainSize + PlanFormat.recordSize)
    used.initializeMemory(as: UInt8.self, repeating: 0)
    PlanFormat.store(PlannedExtent(extent: extent, kind: .data), into: used, index: 0)
    let chain = PlanFormat.nextChain(PlanFormat.firstChain(volumeSize: size), page: used)
    PlanFormat.store(chain, into: used)
    let summary = PlanSummary(digest: chain, volumeSize: size, records: 1, dataBytes: extent.length, zeroBytes: 0)
    try put("/plan", PlanFormat.header(summary) + Array(used))
  }

  /// What a peer claims to have cuts a plan into whole blocks only, whatever it claims.
  @Test func durableExtentsOfAnyShapeCutWholeBlocks() throws {
    let size: UInt64 = (3 << 20) + 100
    for offset in ExtremeNumbers.all {
      for length in ExtremeNumbers.all {
        try writePlan(Extent(offset: 0, length: size), size: size)
        let claims = ClaimedExtents([Extent(offset: offset, length: length), Extent(offset: 3 << 20, length: 100)])
        let cursor = WorkItemCursor(try PlanReader("/plan", storage: disk), settled: claims)
        var end: UInt64 = 0
        while let item = try cursor.next() {
          for piece in item.pieces {
            #expect(piece.extent.offset == end && piece.extent.isWholeBlocks(ofVolume: size))
            end = piece.extent.end
          }
        }
        #expect(end == size)
      }
    }
  }

  private final class ClaimedExtents: ExtentStream {
    private var rest: ArraySlice<Extent>
    init(_ extents: [Extent]) { rest = extents[...] }
    func next() throws(ReplError) -> Extent? { rest.popFirst() }
  }

  @Test func extentSetsTakeAnyNumbers() {
    for offset in ExtremeNumbers.all {
      for length in ExtremeNumbers.all {
        let extent = Extent(offset: offset, length: length)
        var set = ExtentSet([extent, Extent(offset: 4096, length: 8192)])
        set.insert(Extent(offset: length, length: offset))
        _ = (set.byteCount, set.contains(extent), extent.roundedToBlocks(volumeSize: length))
        set.remove(extent)
        _ = set.union(ExtentSet([extent])).subtracting(set).intersection(ExtentSet([extent]))
        #expect(Extent(from: offset, to: length).end >= offset)
      }
    }
  }
}
