import BlockDiff
import ReplModel
import TestSupport
import Testing

@Suite struct ExtentMapComparisonTests {
  private func compare(
    _ base: @escaping ExtentMapReader, _ baseSize: UInt64, _ new: @escaping ExtentMapReader, _ newSize: UInt64,
    pageLimit: Int = 1024
  ) throws -> (ranges: [ChangedRange], totals: ComparisonTotals) {
    let comparison = ExtentMapComparison(
      base: base, baseSize: baseSize, new: new, newSize: newSize, pageLimit: pageLimit, subject: "image")
    var ranges: [ChangedRange] = []
    let totals = try comparison.run { (range) throws(ReplError) in ranges.append(range) }
    return (ranges, totals)
  }

  private func data(_ offset: UInt64, _ length: UInt64, at physical: UInt64, _ flags: UInt32 = 0) -> MappedExtent {
    MappedExtent(logical: Extent(offset: offset, length: length), physical: physical, flags: flags)
  }

  @Test(arguments: 0..<400)
  func findsExactlyWhatANaiveModelFinds(seed: Int) throws {
    var random = SeededGenerator(seed: UInt64(seed))
    var address: UInt64 = 1 << 30
    let base = ExtentMapModel(units: random.below(300), &random, address: &address)
    var new = base
    new.mutate(&random, address: &address)
    let (ranges, totals) = try compare(
      pageReader(base.extents(&random), trimsFirst: random.chance(50)), base.size,
      pageReader(new.extents(&random), trimsFirst: random.chance(50)), new.size, pageLimit: 1 + random.below(9))
    #expect(ranges == naiveChanges(base: base, new: new))
    #expect(totals.ranges == UInt64(ranges.count) && totals.movedPages == 0)
    let bytes = ranges.reduce(0) { $0 + $1.extent.length }
    #expect(totals.dataBytes + totals.zeroBytes + totals.unknownBytes == bytes)
  }

  @Test func equalMapsHaveNoChanges() throws {
    let map = [data(0, 8192, at: 4096), data(1 << 20, 4096, at: 1 << 22, 0x800)]
    let (ranges, _) = try compare(pageReader(map), 2 << 20, pageReader(map), 2 << 20)
    #expect(ranges.isEmpty)
  }

  @Test(arguments: [UInt32(0x1), 0x1000, 0x2000])
  func flagsThatSayNothingAreLeftOut(flag: UInt32) throws {
    let (ranges, _) = try compare(
      pageReader([data(0, 8192, at: 4096)]), 8192, pageReader([data(0, 8192, at: 4096, flag)]), 8192)
    #expect(ranges.isEmpty)
  }

  @Test(arguments: ExtentMapModel.opaqueFlags)
  func extentsThatDoNotTellTheirContentsAreAlwaysChanged(flag: UInt32) throws {
    let map = [data(0, 8192, at: 4096, flag)]
    let (ranges, _) = try compare(pageReader(map), 8192, pageReader(map), 8192)
    #expect(ranges == [ChangedRange(extent: Extent(offset: 0, length: 8192), kind: .unknown)])
  }

  @Test func unwrittenIsZeroAndNotData() throws {
    let written = pageReader([data(0, 8192, at: 4096)])
    let unwritten = pageReader([data(0, 8192, at: 4096, 0x800)])
    let whole = Extent(offset: 0, length: 8192)
    #expect(try compare(written, 8192, unwritten, 8192).ranges == [ChangedRange(extent: whole, kind: .zero)])
    #expect(try compare(unwritten, 8192, written, 8192).ranges == [ChangedRange(extent: whole, kind: .data)])
    #expect(try compare(pageReader([]), 8192, unwritten, 8192).ranges.isEmpty)
    #expect(try compare(unwritten, 8192, pageReader([]), 8192).ranges.isEmpty)
  }

  @Test func aPunchedPartOfABlockIsNotTakenForAZeroBlock() throws {
    let base = [data(0, 8192, at: 4096)]
    let new = [data(1024, 7168, at: 5120)]
    let (ranges, _) = try compare(pageReader(base), 8192, pageReader(new), 8192)
    #expect(ranges == [ChangedRange(extent: Extent(offset: 0, length: 4096), kind: .data)])
  }

  @Test func bytesBeyondTheBaseAreComparedWithZeros() throws {
    let map = [data(0, 1 << 20, at: 4096)]
    let (ranges, _) = try compare(pageReader(map), 5000, pageReader(map), 20_000)
    #expect(ranges == [ChangedRange(extent: Extent(from: 4096, to: 20_000), kind: .data)])
    #expect(try compare(pageReader([]), 5000, pageReader([]), 1 << 40).ranges.isEmpty)
  }

  @Test func aSmallerImageIsComparedUpToItsEnd() throws {
    let (ranges, _) = try compare(
      pageReader([data(0, 16384, at: 4096)]), 16384, pageReader([data(0, 16384, at: 65536)]), 6000)
    #expect(ranges == [ChangedRange(extent: Extent(from: 0, to: 6000), kind: .data)])
  }

  @Test func whenTheBaseMovesContentsMustBeCompared() throws {
    // The base's block moves to a new place with every reading, and the new image's block took its old place.
    var readings: UInt64 = 0
    let base: ExtentMapReader = { (offset, _, _) throws(ReplError) in
      readings += 1
      return [data(0, 8192, at: readings * 8192), data(8192, 4096, at: 1 << 40)].filter { $0.logical.end > offset }
    }
    let new: ExtentMapReader = { (offset, _, _) throws(ReplError) in
      [data(0, 8192, at: readings * 8192), data(8192, 4096, at: 1 << 40)].filter { $0.logical.end > offset }
    }
    let (ranges, totals) = try compare(base, 1 << 20, new, 1 << 20)
    #expect(ranges == [ChangedRange(extent: Extent(offset: 0, length: 12_288), kind: .unknown)])
    #expect(totals.movedPages == 1)
  }

  @Test func aBaseThatMovedOnceIsReadAgain() throws {
    var readings = 0
    let base: ExtentMapReader = { (offset, _, _) throws(ReplError) in
      readings += 1
      return offset < 8192 ? [data(0, 8192, at: readings == 1 ? 4096 : 65536)] : []
    }
    let new: ExtentMapReader = { (offset, _, _) throws(ReplError) in offset < 8192 ? [data(0, 8192, at: 65536)] : [] }
    let (ranges, totals) = try compare(base, 8192, new, 8192)
    #expect(ranges.isEmpty && totals.movedPages == 0 && readings == 4)
  }

  @Test func mapsAreReadInBoundedPages() throws {
    var largest = 0
    let extents = (0..<5000).map { data(UInt64($0) * 8192, 4096, at: UInt64($0) * 1_000_000 + 4096) }
    let reader: ExtentMapReader = { (offset, limit, _) throws(ReplError) in
      largest = max(largest, limit)
      return Array(extents.drop { $0.logical.end <= offset }.prefix(limit))
    }
    let (ranges, _) = try compare(reader, 5000 * 8192, pageReader([]), 5000 * 8192)
    #expect(largest == ExtentMapComparison.pageLimit)
    #expect(ranges.count == 5000 && ranges.allSatisfy { $0.kind == .zero })
  }

  @Test func bothMapsAreBroughtToDiskBeforeTheyAreRead() throws {
    var synced: [Bool] = []
    let reader: ExtentMapReader = { (_, _, sync) throws(ReplError) in
      synced.append(sync)
      return []
    }
    _ = try compare(reader, 4096, reader, 4096)
    #expect(synced.allSatisfy { $0 } && synced.count == 3)
  }

  @Test func aMapOutOfOrderIsAnError() throws {
    let wrong = pageReader([data(8192, 4096, at: 4096), data(0, 4096, at: 8192)])
    #expect(throws: ReplError.self) { try compare(pageReader([]), 16384, wrong, 16384) }
  }
}
