import ReplModel
import TestSupport
import Testing

/// The algebra against a model that keeps one flag per byte.
@Suite struct ExtentSetTests {
  private static let space: UInt64 = 200

  private func random(_ generator: inout SeededGenerator) -> Extent {
    let offset = UInt64.random(in: 0..<Self.space, using: &generator)
    return Extent(offset: offset, length: UInt64.random(in: 0...min(30, Self.space - offset), using: &generator))
  }

  private func flags(_ set: ExtentSet) -> [Bool] {
    var flags = [Bool](repeating: false, count: Int(Self.space))
    for extent in set.extents { for byte in extent.offset..<extent.end { flags[Int(byte)] = true } }
    return flags
  }

  private func isCanonical(_ set: ExtentSet) -> Bool {
    set.extents.allSatisfy { !$0.isEmpty }
      && zip(set.extents, set.extents.dropFirst()).allSatisfy { $0.end < $1.offset }
  }

  /// A set made by inserting and removing, and the flags it should have.
  private func history(_ generator: inout SeededGenerator) -> (ExtentSet, [Bool]) {
    var set = ExtentSet()
    var model = [Bool](repeating: false, count: Int(Self.space))
    for _ in 0..<Int.random(in: 0...20, using: &generator) {
      let extent = random(&generator)
      let inserts = !generator.oneIn(3)
      if inserts { set.insert(extent) } else { set.remove(extent) }
      for byte in extent.offset..<extent.end { model[Int(byte)] = inserts }
      #expect(isCanonical(set), "\(generator)")
      #expect(flags(set) == model, "\(generator)")
    }
    return (set, model)
  }

  @Test(arguments: 0..<200 as Range<UInt64>) func insertAndRemoveAgreeWithTheModel(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    _ = history(&generator)
  }

  @Test(arguments: 0..<200 as Range<UInt64>) func unionSubtractionAndIntersectionAgreeWithTheModel(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let (left, leftModel) = history(&generator)
    let (right, rightModel) = history(&generator)
    let pairs = Array(zip(leftModel, rightModel))
    for (set, model) in [
      (left.union(right), pairs.map { $0 || $1 }), (left.subtracting(right), pairs.map { $0 && !$1 }),
      (left.intersection(right), pairs.map { $0 && $1 }),
    ] {
      #expect(isCanonical(set), "seed \(seed)")
      #expect(flags(set) == model, "seed \(seed)")
    }
    #expect(left.byteCount == UInt64(leftModel.filter { $0 }.count))
  }

  @Test(arguments: 0..<200 as Range<UInt64>) func containsAgreesWithTheModel(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let (set, model) = history(&generator)
    for _ in 0..<50 {
      let extent = random(&generator)
      guard !extent.isEmpty else { continue }
      #expect(
        set.contains(extent) == model[Int(extent.offset)..<Int(extent.end)].allSatisfy { $0 }, "seed \(seed), \(extent)"
      )
    }
  }

  @Test(arguments: 0..<100 as Range<UInt64>) func aSetOfAnyExtentsIsSortedAndCoalesced(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let extents = (0..<20).map { _ in random(&generator) }
    var model = ExtentSet()
    for extent in extents { model.insert(extent) }
    #expect(ExtentSet(extents) == model, "seed \(seed)")
    #expect(ExtentSet(extents.shuffled(using: &generator)) == model, "seed \(seed)")
  }

  @Test func roundingGoesOutwardAndStopsAtTheEnd() {
    #expect(Extent(offset: 1, length: 1).roundedToBlocks(volumeSize: 10_000) == Extent(offset: 0, length: 4096))
    #expect(Extent(offset: 4095, length: 2).roundedToBlocks(volumeSize: 10_000) == Extent(offset: 0, length: 8192))
    #expect(Extent(offset: 8192, length: 10).roundedToBlocks(volumeSize: 10_000) == Extent(from: 8192, to: 10_000))
    #expect(
      Extent(offset: 4096, length: 4096).roundedToBlocks(volumeSize: 10_000) == Extent(offset: 4096, length: 4096))
    #expect(Extent(offset: 20_000, length: 5).roundedToBlocks(volumeSize: 10_000).isEmpty)
    #expect(Extent(from: 0, to: .max).roundedToBlocks(volumeSize: 10_000) == Extent(offset: 0, length: 10_000))
  }

  @Test func intersectionOfExtents() {
    let extent = Extent(offset: 10, length: 10)
    #expect(extent.intersection(Extent(offset: 0, length: 10)) == nil)
    #expect(extent.intersection(Extent(offset: 20, length: 10)) == nil)
    #expect(extent.intersection(Extent(offset: 15, length: 10)) == Extent(offset: 15, length: 5))
    #expect(extent.intersection(Extent(offset: 12, length: 2)) == Extent(offset: 12, length: 2))
  }
}
