import ReplModel
import TestSupport
import Testing

@testable import BlockDiff

@Suite struct ScrubTests {
  private func walk(_ fixture: TargetFixture, _ point: RecoveryPoint, from position: UInt64 = 0) throws -> ScrubWalk {
    try ScrubWalk(
      image: fixture.disk.open(point.paths.image, .read), table: .open(point.paths.segments, in: fixture.disk),
      key: fixture.key, from: position)
  }

  private func steps(_ walk: ScrubWalk) throws -> [ScrubWalk.Step] {
    var walk = walk
    var steps: [ScrubWalk.Step] = []
    while let step = try walk.next() { steps.append(step) }
    return steps
  }

  @Test func visitsEverySegmentThatHoldsSomethingAndNoOther() throws {
    var fixture = try TargetFixture()
    var bytes = [UInt8](repeating: 0, count: 600 << 20)
    let used = [0, 1, 127, 128, 300, 599]
    for segment in used {
      bytes.replaceSubrange(segment << 20..<segment << 20 + 4096, with: BytePattern.bytes(tag: 1, count: 4096))
    }
    let point = try fixture.makePoint(bytes)
    let found = try steps(walk(fixture, point))
    #expect(found.map(\.segment) == used.map(UInt64.init))
    #expect(found.filter { !$0.isClean }.isEmpty)
  }

  @Test func aFlippedBitIsFoundInItsSegment() throws {
    var fixture = try TargetFixture()
    let point = try fixture.makePoint(BytePattern.bytes(tag: 6, count: (5 << 20) + 9))
    let place = UInt64(3 << 20) + 12345
    #expect(fixture.disk.corrupt(point.paths.image, at: place))
    let bad = try steps(walk(fixture, point)).filter { !$0.isClean }
    #expect(bad.map(\.segment) == [3])
    let verification = try fixture.store.verify(point, key: fixture.key)
    #expect(!verification.matchesSeal && !verification.isDamagedAllOver)
    #expect(verification.damaged.extents == [Extent(offset: 3 << 20, length: 1 << 20)])
    // The image's stamp says nothing of it: only reading does.
    #expect(verification.stampDifference == nil)
  }

  @Test func whatOnlyTheCacheHasIsFound() throws {
    var fixture = try TargetFixture()
    let point = try fixture.makePoint(BytePattern.bytes(tag: 4, count: 3 << 20))
    #expect(fixture.disk.losesWrite(point.paths.image, at: 2 << 20))
    let bad = try steps(walk(fixture, point)).filter { !$0.isClean }
    #expect(bad.map(\.segment) == [2])
  }

  @Test func dataThatBecameAHoleIsFound() throws {
    var fixture = try TargetFixture()
    let bytes = BytePattern.bytes(tag: 4, count: 3 << 20)
    let point = try fixture.makePoint(bytes)
    try fixture.disk.setImmutable(point.paths.image, false)
    try fixture.disk.open(point.paths.image, .readWrite).punchHole(Extent(offset: 1 << 20, length: 1 << 20))
    let bad = try steps(walk(fixture, point)).filter { !$0.isClean }
    #expect(bad.map(\.segment) == [1])
  }

  @Test func anUnreadableSegmentIsReportedAndTheWalkGoesOn() throws {
    var fixture = try TargetFixture()
    let point = try fixture.makePoint(BytePattern.bytes(tag: 4, count: 3 << 20))
    fixture.disk.gate.fail(with: ReplError(.io, subject: "image", cause: "input/output error"), once: false) {
      $0.kind == .read && $0.path.hasSuffix("/image") && $0.extent?.offset == 1 << 20
    }
    let found = try steps(walk(fixture, point))
    #expect(found.count == 3)
    if case .unreadable = found[1].finding {} else { Issue.record("\(found[1])") }
    #expect(try fixture.store.verify(point, key: fixture.key).damaged.extents.map(\.offset) == [1 << 20])
  }

  @Test func aDamagedTableIsToldFromADamagedImage() throws {
    var fixture = try TargetFixture()
    let point = try fixture.makePoint(BytePattern.bytes(tag: 4, count: 3 << 20))
    fixture.disk.corrupt(point.paths.segments, at: 4096 + 32)
    let found = try steps(walk(fixture, point))
    if case .tableDamaged = found[1].finding {} else { Issue.record("\(found[1])") }
    let verification = try fixture.store.verify(point, key: fixture.key)
    #expect(verification.isTableDamaged && verification.matchesSeal && verification.damaged.isEmpty)
  }

  @Test func aWalkGoesOnWhereItStopped() throws {
    var fixture = try TargetFixture()
    let point = try fixture.makePoint(BytePattern.bytes(tag: 4, count: 5 << 20))
    var first = try walk(fixture, point)
    _ = try first.next()
    _ = try first.next()
    #expect(first.position == 2)
    let rest = try steps(walk(fixture, point, from: first.position))
    #expect(rest.map(\.segment) == [2, 3, 4])
  }

  @Test func aCancelledStepComesAgain() throws {
    var fixture = try TargetFixture()
    let point = try fixture.makePoint(BytePattern.bytes(tag: 4, count: 2 << 20))
    var walk = try walk(fixture, point)
    let stop: Pace = { (_) throws(ReplError) in throw ReplError(.cancelled, subject: "scrub", cause: "was stopped") }
    #expect(errorKind { _ = try walk.next(pace: stop) } == .cancelled)
    let step = try walk.next()
    #expect(step?.segment == 0)
  }

  @Test func theRateLimitHolds() throws {
    var fixture = try TargetFixture()
    let point = try fixture.makePoint(BytePattern.bytes(tag: 4, count: 5 << 20))
    let limiter = RateLimiter(bytesPerSecond: 1 << 20, clock: fixture.clock.clock)
    var walk = try walk(fixture, point)
    while try walk.next(pace: { limiter.spend($0) }) != nil {}
    #expect(fixture.clock.sleptNanoseconds == 4_000_000_000)
  }

  @Test func aTableThatWasChangedWithTheImageDoesNotHideIt() throws {
    var fixture = try TargetFixture()
    let point = try fixture.makePoint(BytePattern.bytes(tag: 6, count: 3 << 20))
    #expect(fixture.disk.corrupt(point.paths.image, at: (1 << 20) + 5))
    try fixture.disk.setImmutable(point.paths.segments, false)
    let table = try SegmentTable.open(point.paths.segments, .readWrite, in: fixture.disk)
    var editor = SegmentTableEditor(table)
    let image = try fixture.disk.open(point.paths.image, .read)
    let truth = try FingerprintScan.sum(of: image, size: 3 << 20, key: fixture.key, pace: { (_) in }) {
      (segment, sum) throws(ReplError) in try editor.set(segment: segment, sum)
    }
    #expect(truth != point.record.seal.sum)
    try editor.flush()
    #expect(try steps(walk(fixture, point)).allSatisfy(\.isClean))
    let verification = try fixture.store.verify(point, key: fixture.key)
    #expect(!verification.matchesSeal)
    #expect(verification.isTableDamaged && verification.isDamagedAllOver)
  }
}
