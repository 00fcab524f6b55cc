import BlockDiff
import ReplModel
import TestSupport
import Testing

@Suite struct RetentionTests {
  /// Points 1…count; the newest has the highest number and is `step` seconds old, the one before twice that, and so on.
  private func points(_ count: Int, step: Double = 60, held: Set<Int> = []) -> [RetentionPolicy.Candidate] {
    (1...count).map { number in
      RetentionPolicy.Candidate(
        id: PointID(high: 0, low: UInt64(number)), generation: UInt64(number),
        age: Double(count - number + 1) * step, isHeld: held.contains(number))
    }
  }

  private func numbers(_ ids: [PointID]) -> [UInt64] { ids.map(\.low) }

  @Test func theNewestStayTheOldestGoFirst() {
    let policy = RetentionPolicy(keepLast: 4)
    #expect(numbers(policy.pointsToDelete(points(7), secondsSinceClockStep: nil)) == [1, 2, 3])
  }

  @Test func theFloorHoldsWhateverTheRulesSay() {
    let policy = RetentionPolicy(keepLast: 0)
    #expect(numbers(policy.pointsToDelete(points(5), secondsSinceClockStep: nil)) == [1, 2])
    #expect(policy.pointsToDelete(points(3), secondsSinceClockStep: nil).isEmpty)
  }

  @Test func theNewestIsNeverDeletedWithoutAFloorEither() {
    let policy = RetentionPolicy(keepLast: 0, floor: 0)
    #expect(numbers(policy.pointsToDelete(points(3), secondsSinceClockStep: nil)) == [1, 2])
  }

  @Test func heldPointsStay() {
    let policy = RetentionPolicy(keepLast: 1)
    let doomed = policy.pointsToDelete(points(8, held: [1, 3]), secondsSinceClockStep: nil)
    #expect(numbers(doomed) == [2, 4, 5, 6, 7])
  }

  @Test func youngPointsStay() {
    let policy = RetentionPolicy(keepLast: 1, newerThan: 301)
    #expect(numbers(policy.pointsToDelete(points(9), secondsSinceClockStep: nil)) == [1, 2, 3, 4])
  }

  @Test func nothingIsDeletedInTheHourAfterAClockStep() {
    let policy = RetentionPolicy(keepLast: 1)
    #expect(policy.pointsToDelete(points(9), secondsSinceClockStep: 3599).isEmpty)
    #expect(!policy.pointsToDelete(points(9), secondsSinceClockStep: 3600).isEmpty)
  }

  @Test func thinningKeepsSomeOfTheOldOnes() {
    let policy = RetentionPolicy(keepLast: 3, thinning: [.init(age: 0, spacing: 600)])
    let doomed = Set(numbers(policy.pointsToDelete(points(40), secondsSinceClockStep: nil)))
    let kept = (1...40).filter { !doomed.contains(UInt64($0)) }
    #expect(kept == [1, 11, 21, 31, 38, 39, 40])
  }

  @Test(arguments: 0..<200 as Range<UInt64>) func whatMustStayStays(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let count = Int.random(in: 1...30, using: &generator)
    let held = Set((1...count).filter { _ in generator.oneIn(5) })
    let policy = RetentionPolicy(
      keepLast: Int.random(in: 0...10, using: &generator),
      newerThan: generator.oneIn(2) ? Double.random(in: 0...2000, using: &generator) : nil,
      floor: Int.random(in: 0...5, using: &generator))
    let all = points(count, held: held).shuffled(using: &generator)
    let doomed = Set(policy.pointsToDelete(all, secondsSinceClockStep: nil))
    let kept = all.filter { !doomed.contains($0.id) }
    #expect(kept.count >= min(count, max(policy.floor, 1)))
    #expect(all.allSatisfy { !$0.isHeld || !doomed.contains($0.id) })
    #expect(!doomed.contains(PointID(high: 0, low: UInt64(count))))
    #expect(
      kept.filter { $0.generation > UInt64(max(0, count - policy.keepLast)) }.count == min(count, policy.keepLast))
  }
}
