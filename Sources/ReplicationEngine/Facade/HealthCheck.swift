import AgentService
import BlockDiff
import ReplModel

/// What is wrong at this moment, by the reports that people see; what needs somebody first comes first.
enum HealthCheck {
  /// From which difference of clocks on it is a finding, in seconds.
  private static let clockTolerance = 5.0

  static func findings(
    pools: [PoolReport], pairs: [PairReport], volumes: [VolumeReport]
  ) -> [HealthFinding] {
    pools.compactMap(finding) + volumes.flatMap(findings) + pairs.flatMap(findings)
  }

  /// What the start found in pools that is not as the agent left it.
  static func findings(leftAlone: [SkippedEntry]) -> [HealthFinding] {
    guard let first = leftAlone.first else { return [] }
    let more = leftAlone.count == 1 ? "" : ", and \(leftAlone.count - 1) more, which the log names"
    return [HealthFinding(subject: "start", text: "left alone: \(first)\(more)")]
  }

  private static func finding(_ pool: PoolReport) -> HealthFinding? {
    let subject = "pool \(pool.name)"
    if !pool.fault.isEmpty { return HealthFinding(subject: subject, text: pool.fault) }
    guard pool.space != "ok" else { return nil }
    return HealthFinding(
      subject: subject,
      text: "\(pool.availableBytes) of \(pool.totalBytes) bytes are free: no snapshots are taken, old ones go")
  }

  private static func findings(_ volume: VolumeReport) -> [HealthFinding] {
    let subject = "volume \(volume.namespace)/\(volume.name)"
    var findings: [HealthFinding] = []
    for target in volume.targets where target.failedRuns > 0 {
      let count = target.failedRuns == 1 ? "the last migration" : "the last \(target.failedRuns) migrations"
      findings.append(
        HealthFinding(subject: subject, text: "\(count) to \(target.cluster) failed: \(target.lastFailure)"))
    }
    if !volume.lagReason.isEmpty { findings.append(HealthFinding(subject: subject, text: volume.lagReason)) }
    if volume.suspectPoints > 0 {
      let count = volume.suspectPoints == 1 ? "a recovery point is" : "\(volume.suspectPoints) recovery points are"
      findings.append(
        HealthFinding(subject: subject, text: "\(count) suspect: replctl verify \(volume.name) reads one again"))
    }
    return findings
  }

  private static func findings(_ pair: PairReport) -> [HealthFinding] {
    let subject = "pair \(pair.reference.namespace)/\(pair.reference.name)"
    if !pair.ready { return [HealthFinding(subject: subject, text: "not ready: \(pair.reason)")] }
    guard let offset = pair.clockOffsetSeconds, abs(offset) > clockTolerance else { return [] }
    let seconds = (abs(offset) * 10).rounded() / 10
    return [
      HealthFinding(
        subject: subject,
        text: "the clock of \(pair.peerClusterID) is \(seconds) s \(offset > 0 ? "ahead of" : "behind") this one")
    ]
  }
}
