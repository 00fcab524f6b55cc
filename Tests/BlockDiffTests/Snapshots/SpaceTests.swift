import BlockDiff
import ReplModel
import TestSupport
import Testing

@Suite struct SpaceTests {
  private let gib: UInt64 = 1 << 30

  private func space(_ total: UInt64, _ available: UInt64) -> FileSystemSpace {
    FileSystemSpace(total: total, available: available)
  }

  private func point(_ number: UInt64) -> PointID { PointID(high: 0, low: number) }

  @Test func theLowMarkIsTheSmallerOfPartAndBytes() {
    let marks = SpaceWatermarks()
    #expect(marks.lowMark(total: 100 * gib) == 10 * gib)
    #expect(marks.lowMark(total: 10_000 * gib) == 20 * gib)
    #expect(marks.floorMark(total: 100 * gib) == 5 * gib)
    #expect(marks.floorMark(total: 10_000 * gib) == 10 * gib)
  }

  @Test func levelsFollowTheMarks() {
    let marks = SpaceWatermarks()
    #expect(marks.level(of: space(100 * gib, 10 * gib)) == .ok)
    #expect(marks.level(of: space(100 * gib, 10 * gib - 1)) == .low)
    #expect(marks.level(of: space(100 * gib, 5 * gib)) == .low)
    #expect(marks.level(of: space(100 * gib, 5 * gib - 1)) == .floor)
    #expect(marks.level(of: space(0, 0)) == .ok)
  }

  @Test func nothingIsDroppedAboveTheLowMark() {
    let relief = SpaceRelief(unsent: [SpaceCandidate(point: point(1), exclusiveBytes: gib)])
    #expect(relief.steps(for: space(100 * gib, 10 * gib), marks: SpaceWatermarks()).isEmpty)
  }

  @Test func unsentGoBeforeQuarantinesAndBasesStayAboveTheFloor() {
    let relief = SpaceRelief(
      unsent: [SpaceCandidate(point: point(1), exclusiveBytes: gib)],
      releasedQuarantines: [SpaceCandidate(point: point(2), exclusiveBytes: gib)],
      pinnedBases: [SpaceCandidate(point: point(3), exclusiveBytes: 50 * gib)])
    #expect(
      relief.steps(for: space(100 * gib, 6 * gib), marks: SpaceWatermarks())
        == [.stopSnapshots, .dropUnsent(point(1)), .dropReleasedQuarantine(point(2))])
    #expect(
      relief.steps(for: space(100 * gib, 9 * gib), marks: SpaceWatermarks()) == [.stopSnapshots, .dropUnsent(point(1))])
  }

  @Test func atTheFloorLargestBasesGoFirstAndOnlyAsManyAsNeeded() {
    let relief = SpaceRelief(
      unsent: [SpaceCandidate(point: point(1), exclusiveBytes: gib)],
      pinnedBases: [
        SpaceCandidate(point: point(3), exclusiveBytes: 2 * gib),
        SpaceCandidate(point: point(4), exclusiveBytes: 3 * gib),
        SpaceCandidate(point: point(5), exclusiveBytes: gib),
      ])
    #expect(
      relief.steps(for: space(100 * gib, gib), marks: SpaceWatermarks())
        == [.stopSnapshots, .dropUnsent(point(1)), .dropPinnedBaseKeepingSums(point(4))])
    #expect(
      relief.steps(for: space(100 * gib, 0), marks: SpaceWatermarks())
        == [
          .stopSnapshots, .dropUnsent(point(1)), .dropPinnedBaseKeepingSums(point(4)),
          .dropPinnedBaseKeepingSums(point(3)),
        ])
  }

  @Test func basesAreNotGivenUpOnAGuess() {
    let unknown = SpaceRelief(
      unsent: [SpaceCandidate(point: point(1))], pinnedBases: [SpaceCandidate(point: point(3), exclusiveBytes: gib)])
    #expect(
      unknown.steps(for: space(100 * gib, gib), marks: SpaceWatermarks()) == [.stopSnapshots, .dropUnsent(point(1))])
    let bases = SpaceRelief(pinnedBases: [SpaceCandidate(point: point(3)), SpaceCandidate(point: point(4))])
    #expect(
      bases.steps(for: space(100 * gib, gib), marks: SpaceWatermarks())
        == [.stopSnapshots, .dropPinnedBaseKeepingSums(point(3))])
  }
}
