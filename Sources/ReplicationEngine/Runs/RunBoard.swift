import AgentService
import Logging
import ReplModel
import Threads

/// The runs under way. A run whose volumes another run works on waits for it. Any thread may call.
final class RunBoard: Sendable {
  /// Most runs under way; each has a thread.
  static let activeLimit = 64
  /// Most of them for one peer, so that one which does not answer leaves room for the others'.
  static let activeLimitOfPeer = 16

  private struct State {
    var active: [String: GroupRun] = [:]
    var waiting: [RunRecord] = []
    var cancelled: Set<String> = []
    var isStopped = false
  }

  private let context: SourceContext
  private let threads: any AgentThreads
  private let links: PeerLinks
  private let logger: Logger
  private let state = Monitor(State())

  init(context: SourceContext, threads: any AgentThreads, links: PeerLinks, logger: Logger) {
    self.context = context
    self.threads = threads
    self.links = links
    self.logger = logger
  }

  var activeCount: Int { state.look { $0.active.count + $0.waiting.count } }

  var counts: (running: Int, waiting: Int) { state.look { ($0.active.count, $0.waiting.count) } }

  /// The sessions under way, with their peers.
  var sessions: [(peer: String, report: VolumeRunReport)] {
    state.look { Array($0.active.values) }.flatMap { run in
      run.report(state: .running, reason: "").volumes.map { (run.record.peer, $0) }
    }
  }

  /// The volumes of all runs under way, by migration.
  var outbound: [OutboundSession] {
    state.look { Array($0.active.values) }.flatMap { run in
      let reference = run.record.request.reference
      return run.report(state: .running, reason: "").volumes.filter { !$0.state.isFinal }.map {
        OutboundSession(
          migration: "\(reference.namespace)/\(reference.name)", cluster: run.record.peer, progress: $0)
      }
    }.sorted { ($0.migration, $0.progress.name) < ($1.migration, $1.progress.name) }
  }

  /// Starts a run, or queues it behind one that has a volume in common.
  func submit(_ record: RunRecord) {
    state.change { state in
      guard state.active[record.uid] == nil, !state.waiting.contains(where: { $0.uid == record.uid }) else { return }
      state.waiting.append(record)
    }
    startWaiting()
  }

  /// The report of this moment; nil when the run is not under way.
  func report(uid: String) -> MigrationReport? {
    state.look { state in
      if let run = state.active[uid] { return run.report(state: .running, reason: "") }
      guard let waiting = state.waiting.first(where: { $0.uid == uid }) else { return nil }
      var report = waiting.report
      report.reason = "waiting for other migrations"
      return report
    }
  }

  func cancel(uid: String) {
    let waiting = state.change { state -> RunRecord? in
      state.active[uid]?.cancel()
      guard let index = state.waiting.firstIndex(where: { $0.uid == uid }) else { return nil }
      return state.waiting.remove(at: index)
    }
    guard var record = waiting else { return }
    record.state = .cancelled
    record.report.state = .cancelled
    try? context.database.write { [record] in try record.save($0) }
  }

  /// A run that is under way. For simulations: they cancel and stop it in the middle.
  func active(uid: String) -> GroupRun? { state.look { $0.active[uid] } }

  /// Whether a run that is under way or waiting has a volume.
  func isBusy(_ volume: VolumeID) -> Bool {
    state.look { state in
      state.active.values.contains { $0.record.request.volumes.contains(volume) }
        || state.waiting.contains { $0.request.volumes.contains(volume) }
    }
  }

  /// Starts nothing more. What is under way stops where it is and is taken up again by the next process.
  func stop() {
    let active = state.change { state in
      state.isStopped = true
      state.waiting = []
      return Array(state.active.values)
    }
    for run in active { run.stop() }
  }

  /// Waits until the runs under way have seen the stop, but not longer than `seconds`: what still hangs then ends with the
  /// process, as after a power cut.
  func waitForEnd(seconds: Double) {
    _ = state.wait(until: .after(.seconds(seconds))) { $0.active.isEmpty ? true : nil }
  }

  private func startWaiting() {
    while let record = takeStartable() {
      do throws(ReplError) {
        let run = GroupRun(record: record, context: context, link: try links.link(to: record.peer))
        let isStopped = state.change { state in
          state.active[record.uid] = run
          return state.isStopped
        }
        // The stop that came meanwhile did not see it.
        if isStopped { run.stop() }
        try threads.start("run") { [self] in work(run) }
      } catch {
        finish(record, failedWith: error)
      }
    }
  }

  /// The first waiting run that shares no volume with one under way, or with one that waits before it.
  private func takeStartable() -> RunRecord? {
    state.change { state in
      guard !state.isStopped else { return nil }
      var busy = Set(state.active.values.flatMap(\.record.request.volumes))
      guard state.active.count < Self.activeLimit else { return nil }
      for (index, record) in state.waiting.enumerated() {
        let ofPeer = state.active.values.count { $0.record.peer == record.peer }
        // One that waits for a place of its peer holds up nobody else.
        guard ofPeer < Self.activeLimitOfPeer else { continue }
        if busy.isDisjoint(with: record.request.volumes) { return state.waiting.remove(at: index) }
        busy.formUnion(record.request.volumes)
      }
      return nil
    }
  }

  private func work(_ run: GroupRun) {
    let name = "\(run.record.request.reference.namespace)/\(run.record.request.reference.name)"
    logger.debug("migration started", metadata: ["migration": "\(name)", "peer": "\(run.record.peer)"])
    let ended = reusable(run) ?? run.run()
    state.change { _ = $0.active.removeValue(forKey: run.record.uid) }
    guard let report = ended else {
      return logger.info("migration goes on after the next start", metadata: ["migration": "\(name)"])
    }
    log(report, name, peer: run.record.peer)
    let reference = run.record.request.reference
    context.events.post(
      reference, warning: report.state != .succeeded, report.state == .succeeded ? "Successful" : "Failed",
      report.state == .succeeded ? "all volumes are sealed at \(run.record.peer)" : report.reason)
    startWaiting()
  }

  /// One line for each volume: what was shipped and what it proves, or why it was not.
  private func log(_ report: MigrationReport, _ name: String, peer: String) {
    for volume in report.volumes {
      let isDone = volume.state == .succeeded
      var metadata: Logger.Metadata = [
        "volume": "\(volume.namespace)/\(volume.name)", "peer": "\(peer)", "migration": "\(name)",
        "seconds": "\((volume.seconds * 1000).rounded() / 1000)",
      ]
      if isDone {
        metadata["changed"] = "\(volume.bytesChanged)"
        metadata["wire"] = "\(volume.bytesOnWire)"
        metadata["source"] = "\(volume.changeSource)"
        metadata["proof"] = "\(volume.proof)"
        metadata["point"] = "\(volume.point)"
      } else {
        metadata["stage"] = "\(volume.stage)"
        metadata["reason"] = "\(volume.reason.isEmpty ? report.reason : volume.reason)"
      }
      logger.log(
        level: isDone ? .info : .warning, isDone ? "volume replicated" : "volume not replicated", metadata: metadata)
    }
    if report.volumes.isEmpty || report.state != .succeeded {
      logger.log(
        level: report.state == .succeeded ? .info : .warning, "migration ended",
        metadata: ["migration": "\(name)", "state": "\(report.state.rawValue)", "reason": "\(report.reason)"])
    }
  }

  /// A run that waited takes over the group sealed meanwhile, if its snapshots were taken after this run was asked for.
  private func reusable(_ run: GroupRun) -> MigrationReport? {
    let record = run.record
    guard let group = try? context.database.read({ try ReusableGroup.find(for: record, $0) }) else { return nil }
    for seal in group.seals {
      guard let member = run.members[seal.volume] else { return nil }
      member.update {
        $0.point = seal.point.description
        $0.proof = seal.proof.name
        $0.changeSource = "reused"
      }
      member.finish(.succeeded, reason: "sealed by a migration that was under way")
    }
    var saved = record
    saved.state = .succeeded
    saved.report = run.report(state: .succeeded, reason: "")
    // What is not recorded is not told: then it runs as any other.
    guard (try? context.database.write({ [saved] in try saved.save($0) })) != nil else { return nil }
    context.noteEnd(of: saved.report, peer: record.peer)
    return saved.report
  }

  private func finish(_ record: RunRecord, failedWith error: ReplError) {
    // What could not begin because the agent stops begins with the next start.
    let isStopped = state.change { state in
      state.active[record.uid] = nil
      return state.isStopped
    }
    if isStopped { return }
    var failed = record
    failed.state = .failed
    failed.report.state = .failed
    failed.report.reason = "\(error)"
    context.metrics.runFailed(error.kind)
    try? context.database.write { [failed] in try failed.save($0) }
  }
}
