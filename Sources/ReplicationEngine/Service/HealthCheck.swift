import AgentService
import BlockDiff
import ReplModel

/// What is wrong at this moment, by the reports that people see; what needs somebody first comes first.
enum HealthCheck {
  /// From which difference of clocks on it is a finding, in seconds.
  private static let clockTolerance = 5.0
  /// Seconds without a heartbeat, of which several come in them, from which on a source is a finding.
  private static let silenceTolerance = 60.0

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

  /// Sources that have fallen silent: their points grow old here. What a pair is with, its own finding names.
  static func findings(peers: [PeerReport]) -> [HealthFinding] {
    peers.filter { $0.invited && $0.pairs.isEmpty && $0.trustEndsAt != PeerReport.ended }.compactMap { peer in
      guard let seconds = peer.secondsSinceHeard, seconds >= silenceTolerance else { return nil }
      return HealthFinding(
        subject: "cluster \(peer.cluster)", text: "nothing was heard of it for \(Int(min(seconds, 1e12))) s")
    }
  }

  /// Volumes on their way that do not get on.
  static func findings(outbound: [OutboundSession]) -> [HealthFinding] {
    outbound.filter { $0.progress.stalledSince != nil }.map { session in
      HealthFinding(
        subject: "migration \(session.migration)",
        text: "volume \(session.progress.namespace)/\(session.progress.name) to \(session.cluster): "
          + session.progress.reason)
    }
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
