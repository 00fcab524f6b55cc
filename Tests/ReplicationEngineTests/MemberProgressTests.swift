import AgentService
import ReplModel
import Testing

@testable import ReplicationEngine

/// What a run reports while it goes on, and counts.
@Suite struct MemberProgressTests {
  private static func make() -> (TestClock, MemberProgress) {
    let clock = TestClock()
    return (clock, MemberProgress(VolumeRunReport(volume: "v", namespace: "app", name: "db"), clock: clock))
  }

  @Test("rate and time to go are those of the last seconds, and only while shipping")
  func estimate() {
    let (clock, progress) = Self.make()
    progress.enter(.plan)
    progress.ship.restart(planned: 100_000)
    clock.advance(seconds: 10)
    #expect(progress.report.etaSeconds == nil)
    progress.enter(.ship)
    for _ in 0..<30 {
      progress.ship.add(done: 1000, changed: 400, wire: 480)
      clock.advance(seconds: 1)
      _ = progress.report
    }
    // Slower now: what was before is forgotten after a while.
    for _ in 0..<30 {
      progress.ship.add(done: 100)
      clock.advance(seconds: 1)
      _ = progress.report
    }
    let report = progress.report
    #expect(report.bytesPerSecond == 100)
    #expect(report.etaSeconds == 670)
    #expect(report.state == .running)
    #expect((report.bytesTotal, report.bytesDone) == (100_000, 33_000))
    #expect((report.bytesChanged, report.bytesOnWire) == (12_000, 14_400))
    #expect(report.seconds == 70)
  }

  @Test("what does not move has no time to go, and says since when it has not moved")
  func stalled() {
    let (clock, progress) = Self.make()
    progress.enter(.ship)
    progress.ship.restart(planned: 1000)
    for _ in 0..<10 {
      progress.ship.add(done: 10)
      clock.advance(seconds: 1)
      _ = progress.report
    }
    #expect(progress.report.reason.isEmpty)
    let last = clock.now().rfc3339Seconds
    var told: Set<String> = []
    for _ in 0..<40 {
      clock.advance(seconds: 1)
      told.insert(progress.report.reason)
    }
    let report = progress.report
    #expect(told == ["", "waiting for the peer since \(last): nothing moves"], "one text for one standstill")
    #expect(report.stalledSince == last)
    #expect(report.bytesPerSecond == 0 && report.etaSeconds == nil)
    progress.ship.add(done: 10)
    #expect(progress.report.reason.isEmpty)
  }

  @Test("who looks for the first time late does not take what has moved for a standstill")
  func firstLook() {
    let (clock, progress) = Self.make()
    progress.enter(.ship)
    progress.ship.restart(planned: 1000)
    progress.ship.add(done: 500)
    clock.advance(seconds: 60)
    #expect(progress.report.stalledSince == nil)
    clock.advance(seconds: 10)
    #expect(progress.report.stalledSince != nil)
  }

  @Test("all of it handed to a line that does not answer is no time to go of nothing")
  func handedOver() {
    let (clock, progress) = Self.make()
    progress.enter(.ship)
    progress.ship.restart(planned: 1000)
    _ = progress.report
    progress.ship.add(done: 1000)
    clock.advance(seconds: 60)
    _ = progress.report
    clock.advance(seconds: 60)
    #expect(progress.report.etaSeconds == nil)
    #expect(progress.report.reason.contains("nothing moves"))
  }

  @Test("what the target has of an earlier attempt was changed, too")
  func resumed() {
    let (_, progress) = Self.make()
    progress.enter(.ship)
    progress.ship.restart(planned: 1000)
    progress.ship.add(done: 500, changed: 400, wire: 300)
    progress.ship.restart(planned: 1000)
    progress.ship.note(durable: 350)
    progress.ship.add(done: 650, changed: 550, wire: 500)
    #expect(progress.report.bytesChanged == 900)
    #expect(progress.report.bytesOnWire == 800)
  }

  @Test("a new attempt counts its work anew and the wire on")
  func newAttempt() {
    let (_, progress) = Self.make()
    progress.enter(.ship)
    progress.ship.restart(planned: 1000)
    progress.ship.add(done: 500, changed: 400, wire: 300)
    progress.ship.restart(planned: 1000)
    #expect(progress.report.bytesDone == 0)
    #expect(progress.report.bytesOnWire == 300)
  }

  @Test("a run that is taken up again counts on from what its earlier life recorded")
  func takenUpAgain() {
    let (clock, before) = Self.make()
    before.enter(.ship)
    before.ship.restart(planned: 1000)
    before.ship.add(done: 500, changed: 400, wire: 300)
    clock.advance(seconds: 10)
    before.update { $0.changeSource = "full" }
    before.finish(.failed, reason: "another member failed, and the process ended before the group did")
    let progress = MemberProgress(before.report, clock: clock)
    clock.advance(seconds: 5)
    let report = progress.report
    #expect((report.state, report.reason, report.changeSource) == (.pending, "", "full"))
    #expect((report.bytesTotal, report.bytesDone, report.bytesChanged, report.bytesOnWire) == (1000, 500, 400, 300))
    #expect(report.seconds == 15)
    progress.ship.complete()
    #expect(progress.report.bytesDone == 1000)
  }

  @Test("a finished report stays as it was")
  func finished() {
    let (clock, progress) = Self.make()
    progress.enter(.ship)
    progress.ship.restart(planned: 10)
    progress.ship.add(done: 10)
    clock.advance(seconds: 3)
    progress.finish(.failed, reason: "why")
    clock.advance(seconds: 3)
    progress.ship.add(wire: 5)
    let report = progress.report
    #expect(report.state == .failed)
    #expect(report.reason == "why")
    #expect(report.stage == .ship)
    #expect(report.seconds == 3)
    #expect(report.bytesOnWire == 0)
    #expect(report.etaSeconds == nil)
  }

  @Test("every seventh is full in mode Default, none in DisasterRecovery, each in OneTimeMigration")
  func fullMigrations() {
    let full = (0..<21).filter { PairCount.fullReason(mode: .default, done: $0) != nil }
    #expect(full == [6, 13, 20])
    #expect((0..<21).allSatisfy { PairCount.fullReason(mode: .disasterRecovery, done: $0) == nil })
    #expect((0..<21).allSatisfy { PairCount.fullReason(mode: .oneTimeMigration, done: $0) != nil })
  }

  @Test("migrations are counted for each pair and volume by itself")
  func counts() throws {
    let database = try AgentDatabase.inMemory()
    let volumes = [VolumeID(high: 0, low: 1), VolumeID(high: 0, low: 2)]
    try database.write { database in
      for _ in 1...3 { try PairCount.increment(database, pair: "a", volume: volumes[0]) }
      try PairCount.increment(database, pair: "b", volume: volumes[0])
    }
    #expect(try database.read { try PairCount.done($0, pair: "a", volume: volumes[0]) } == 3)
    #expect(try database.read { try PairCount.done($0, pair: "b", volume: volumes[0]) } == 1)
    #expect(try database.read { try PairCount.done($0, pair: "a", volume: volumes[1]) } == 0)
  }

  @Test("a session goes on while bytes move, and gives up ten minutes after the last")
  func patience() {
    let clock = TestClock()
    var patience = Patience(clock: clock)
    var pauses: [Double] = []
    var mayGoOn = false
    for _ in 1...9 {
      mayGoOn = patience.mayTryAgain(done: 0)
      #expect(mayGoOn)
      pauses.append(patience.nextPause())
    }
    #expect(pauses == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30])
    clock.advance(seconds: 599)
    mayGoOn = patience.mayTryAgain(done: 1 << 20)
    #expect(mayGoOn)
    let pause = patience.nextPause()
    #expect(pause == 0.25)
    clock.advance(seconds: 599)
    mayGoOn = patience.mayTryAgain(done: 1 << 20)
    #expect(mayGoOn)
    clock.advance(seconds: 2)
    mayGoOn = patience.mayTryAgain(done: 1 << 20)
    #expect(!mayGoOn)
  }
}
