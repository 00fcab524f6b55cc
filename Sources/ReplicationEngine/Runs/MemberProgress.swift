import AgentService
import ReplModel
import Threads

/// The report of one volume of a run, written by its session and read by whoever asks.
final class MemberProgress: Sendable {
  let ship: ShipProgress
  private let clock: any EngineClock
  private let startedAt: Double
  private let state: Locked<VolumeRunReport>
  private let remark = Locked("")
  /// The rate of the plan, and whether anything moves: bytes worked off, sent or proven.
  private let windows: Locked<(done: RateWindow, any: RateWindow)>
  /// The instant of the last move, once nothing has moved for a while: told until something does.
  private let stillSince = Locked<Timestamp?>(nil)
  /// Seconds without any move after which a report says so.
  private static let patience = 10.0

  /// - Parameter report: what is known so far: nothing, or what an earlier life of the run recorded.
  init(_ report: VolumeRunReport, clock: any EngineClock, shipping: EngineMetrics.Shipping? = nil) {
    self.clock = clock
    let counts = ShipProgress.Counts(
      planned: report.bytesTotal, done: report.bytesDone, changed: report.bytesChanged, wire: report.bytesOnWire)
    ship = ShipProgress(counts: counts, shipping: shipping)
    startedAt = clock.ticks() - report.seconds
    var report = report
    // How a member ended in a life that ended before its group did is not how it ends.
    if report.state.isFinal { (report.state, report.reason) = (.pending, "") }
    state = Locked(report)
    let now = clock.ticks()
    windows = Locked((RateWindow(at: now), RateWindow(at: now)))
  }

  func update(_ body: (inout VolumeRunReport) -> Void) { state.withLock { body(&$0) } }

  /// Enters a stage; a reason for waiting is over then.
  func enter(_ stage: RunStage) {
    update {
      $0.stage = stage
      $0.state = .running
      $0.reason = ""
    }
  }

  /// The report with the counts of this moment, the rate of the last seconds, and the time to go at it.
  var report: VolumeRunReport {
    let (counts, now) = (ship.snapshot, clock.ticks())
    let (rate, still) = windows.withLock { windows in
      windows.done.note(counts.done, at: now)
      let any = counts.done.addingSaturating(counts.wire).addingSaturating(counts.proven)
      windows.any.note(any, at: now)
      return (windows.done.rate(counts.done, at: now), windows.any.secondsStill(at: now))
    }
    return state.withLock { report in
      guard !report.state.isFinal else { return report }
      report.bytesTotal = counts.planned
      report.bytesDone = counts.done
      report.bytesChanged = counts.changed
      report.bytesOnWire = counts.wire
      report.seconds = now - startedAt
      let isShipping = report.stage == .ship && counts.planned >= counts.done
      report.bytesPerSecond = isShipping ? rate : nil
      let left = Double(counts.planned - min(counts.planned, counts.done))
      report.etaSeconds = rate.flatMap { isShipping && $0 > 0 && left > 0 ? left / $0 : nil }
      let mayWait = isShipping || report.stage == .seal
      guard let since = instant(still), mayWait, report.reason.isEmpty else { return report }
      var told = report
      told.stalledSince = since.rfc3339Seconds
      told.reason = "waiting for the peer since \(since.rfc3339Seconds): nothing moves"
      return told
    }
  }

  /// When the last move was, if that was a while ago: one answer for one standstill, however often it is asked for.
  private func instant(_ secondsStill: Double) -> Timestamp? {
    stillSince.withLock { since in
      guard secondsStill >= Self.patience else {
        since = nil
        return nil
      }
      let known = since ?? Timestamp(nanoseconds: clock.now().nanoseconds - Int64(min(secondsStill, 1e9) * 1e9))
      since = known
      return known
    }
  }

  /// Keeps what a run that succeeds says besides: why it did more than was to be expected.
  func note(_ text: String) { remark.withLock { $0 = text } }

  func succeed() { finish(.succeeded, reason: remark.withLock { $0 }) }

  func finish(_ outcome: RunState, reason: String = "") {
    let last = report
    update {
      $0 = last
      $0.state = outcome
      $0.reason = reason
      ($0.etaSeconds, $0.bytesPerSecond) = (nil, nil)
      if outcome == .succeeded { $0.stage = .done }
    }
  }
}
