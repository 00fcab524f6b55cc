import AgentService
import BlockDiff
import ReplModel
import Threads
import WireProtocol

/// The run of one Migration: snapshots of all members, their sessions, one commit. Blocks; has a thread of its own.
///
/// Crash points: the run and its snapshots are recorded before anything is sent, so a restart takes up the same sessions
/// and the target resumes them; `inDoubt` is recorded before the commit is sent, `sealed` after its answer.
final class GroupRun: Sendable {
  let record: RunRecord
  private let context: SourceContext
  private let link: any PeerLink
  private let keeper: SnapshotKeeper
  let members: [VolumeID: MemberProgress]
  /// The member that failed first, and why: what the group fails with.
  private let firstFailure = Locked<ReplError?>(nil)
  /// Who wants the run to end before it is done; the first word counts.
  private let ending = Locked<Ending?>(nil)

  private enum Ending: Sendable {
    /// The Migration is given up: what was staged and never sealed goes.
    case cancelled
    /// The agent stops: everything stays as it is, as after a power cut.
    case stopped
  }

  init(record: RunRecord, context: SourceContext, link: any PeerLink) {
    self.record = record
    self.context = context
    self.link = link
    keeper = SnapshotKeeper(context: context)
    let shipping = context.metrics.shipping(to: link.cluster)
    members = Dictionary(
      zip(
        record.request.volumes,
        record.report.volumes.map { MemberProgress($0, clock: context.clock, shipping: shipping) }),
      uniquingKeysWith: { first, _ in first })
  }

  /// The report of this moment.
  func report(state: RunState, reason: String) -> MigrationReport {
    MigrationReport(
      uid: record.uid, state: state, reason: reason, volumes: record.request.volumes.compactMap { members[$0]?.report })
  }

  /// Gives the run up.
  func cancel() { end(.cancelled) }

  /// Has the run stop where it is, because the agent does: it is neither failed nor cancelled, and its snapshots stay.
  func stop() { end(.stopped) }

  private func end(_ reason: Ending) {
    ending.withLock { if $0 == nil { $0 = reason } }
    endMembers()
  }

  private var isStopped: Bool { ending.withLock { $0 == .stopped } }

  private func endMembers() { for member in members.values { member.ship.cancel() } }

  /// Runs to the end and records it. Returns the final report; nil if the run was stopped and goes on after the next start.
  func run() -> MigrationReport? {
    guard let report = runToEnd() else { return nil }
    context.noteEnd(of: report, peer: link.cluster)
    return report
  }

  private func runToEnd() -> MigrationReport? {
    do throws(ReplError) {
      let tasks = try prepareTasks()
      let outcomes = try ship(tasks)
      try commit(tasks, outcomes)
      return try finish(.succeeded, reason: "")
    } catch {
      // Whatever went wrong after the stop went wrong because of it, or does so again after the next start.
      return isStopped ? nil : fail(firstFailure.withLock { $0 } ?? error)
    }
  }

  // MARK: Snapshots

  private func prepareTasks() throws(ReplError) -> [MemberTask] {
    let known = try context.database.read { try RunMember.all($0, uid: self.record.uid) }
    // What has to be asked of peers and disks is asked for all members before the first snapshot: from there on one follows
    // the other at once, since what a group holds is as consistent as its snapshots are close together.
    let ready = try eachMember(record.request.volumes, \.self) { (id) throws(ReplError) in
      try prepare(id, known.first { $0.volume == id })
    }
    let tasks = try eachMember(ready, \.volume.id) { (member) throws(ReplError) in try takeSnapshot(of: member) }
    let first = tasks.map(\.snapshot.takenAt).min()
    // Only now may whoever stopped the writers let them go on: all members are taken, whatever waits for a thread.
    for task in tasks {
      task.progress.update {
        $0.readsLive = !task.snapshot.hasImage
        $0.takenAfterMilliseconds = first.map { task.snapshot.takenAt.seconds(since: $0) * 1_000 }
      }
      task.progress.enter(.begin)
    }
    return tasks
  }

  /// Does something for one member after the other; the one that cannot is the one that failed.
  private func eachMember<Item, Value>(
    _ items: [Item], _ volume: (Item) -> VolumeID, _ body: (Item) throws(ReplError) -> Value
  ) throws(ReplError) -> [Value] {
    var values: [Value] = []
    for item in items {
      do throws(ReplError) {
        // Each may wait for what the target does not answer.
        try requireWanted()
        values.append(try body(item))
      } catch {
        if !isStopped { members[volume(item)]?.finish(.failed, reason: "\(error)") }
        throw error
      }
    }
    return values
  }

  /// A member that needs nothing more than its snapshot.
  private struct Ready {
    var volume: VolumeRecord
    /// Of an earlier life of the run, where it is taken up again.
    var snapshot: SnapshotRecord?
    var member: RunMember?
    var fullReason: String?
    var key: FingerprintKey
    var progress: MemberProgress
  }

  private func prepare(_ id: VolumeID, _ member: RunMember?) throws(ReplError) -> Ready {
    guard let progress = members[id] else { throw ReplError(.bug, subject: "\(id)", cause: "has no progress") }
    progress.enter(.snapshot)
    let facts = try context.database.read { database in
      guard let volume = try VolumeRecord.find(database, id) else {
        throw ReplError(.notFound, subject: "volume \(id)", cause: "was taken out of the agent")
      }
      guard let key = try LineageKeys.find(database, volume.lineage) else {
        throw ReplError(.damaged, subject: volume.label, cause: "its fingerprint key is missing")
      }
      let done = try PairCount.done(database, pair: self.record.request.pair.uid, volume: id)
      let snapshot = try member?.point.flatMap { try SnapshotRecord.find(database, $0) }
      return (volume, key, done, snapshot)
    }
    let (volume, key, done, earlier) = facts
    let reason = volume.fullReason ?? PairCount.fullReason(mode: record.request.mode, done: done)
    try settleDoubt(volume, except: earlier?.point)
    // A snapshot of an earlier life of this run is taken up again; one without an image cannot be.
    let kept = earlier.flatMap { $0.hasImage || $0.state == .inDoubt ? $0 : nil }
    if kept == nil { try catchUp(volume) }
    return Ready(volume: volume, snapshot: kept, member: member, fullReason: reason, key: key, progress: progress)
  }

  private func takeSnapshot(of ready: Ready) throws(ReplError) -> MemberTask {
    let volume = ready.volume
    let snapshot =
      if let kept = ready.snapshot { kept } else {
        try keeper.take(volume, peer: link.cluster, acceptShrink: record.request.acceptShrink)
      }
    let kind = ready.member?.kind ?? (ready.fullReason == nil ? .delta : .full)
    let session = ready.member?.session ?? context.random.identifier()
    let saved = RunMember(uid: record.uid, volume: volume.id, session: session, point: snapshot.point, kind: kind)
    try context.database.write { try saved.save($0) }
    ready.progress.update { $0.stallMilliseconds = Double(snapshot.stallNanoseconds) / 1e6 }
    return MemberTask(
      volume: volume, snapshot: snapshot, session: session, kind: kind,
      fullReason: kind == .full ? ready.fullReason ?? "" : "", fullCopy: fullCopy(volume), key: ready.key,
      progress: ready.progress)
  }

  /// Which of our own reasons a full copy of the volume has.
  private func fullCopy(_ volume: VolumeRecord) -> EngineMetrics.FullCopy {
    if volume.fullReason != nil { return .mismatch }
    return record.request.mode == .oneTimeMigration ? .oneTime : .seventh
  }

  /// Brings the volume's generation up to what the peer holds of it.
  private func catchUp(_ volume: VolumeRecord) throws(ReplError) {
    // A peer that cannot be asked now is asked again by the session itself; then nothing is known of its points.
    let inventory = try? link.ask(.inventory(InventoryRequest(volume: volume.id))) {
      if case .inventory(let reply) = $0 { reply } else { nil }
    }
    if let newest = inventory?.points.map(\.generation).max() { try keeper.catchUp(volume, with: newest) }
  }

  /// Asks for the outcome of commits that were sent and never answered, before a new base is chosen.
  private func settleDoubt(_ volume: VolumeRecord, except own: PointID?) throws(ReplError) {
    let doubtful = try context.database.read { try SnapshotRecord.all($0, volume: volume.id, peer: self.link.cluster) }
      .filter { $0.state == .inDoubt && $0.point != own }
    for snapshot in doubtful {
      let query = QueryPoint(volume: volume.id, point: snapshot.point)
      let reply = try askPatiently(.queryPoint(query)) {
        if case .queryPoint(let reply) = $0 { reply } else { nil }
      }
      switch reply {
      case .sealed(let seal, _) where seal == snapshot.seal:
        try context.database.write { try SnapshotRecord.setState($0, snapshot.point, .sealed, seal: seal) }
      case .sealed:
        context.events.post(
          namespace: volume.namespace, volume: volume.name, warning: true, "SealMismatch",
          "\(link.cluster) holds another seal of point \(snapshot.point) than was sent: it is not used as a base")
        try keeper.drop(snapshot)
      case .prepared, .unknown: try keeper.drop(snapshot)
      }
    }
  }

  // MARK: Shipping

  private func ship(_ tasks: [MemberTask]) throws(ReplError) -> [SenderSession.Held] {
    let manifest = tasks.map { GroupMember(volume: $0.volume.id, size: $0.snapshot.size) }
      .sorted { $0.volume < $1.volume }
    let group = MemberGroup(
      id: record.group, members: manifest, acceptShrink: record.request.acceptShrink,
      isOfEarlierVersion: record.request.generations == nil)
    let outcomes = Outcomes(count: tasks.count)
    try context.threads.runAll(tasks.count, limit: context.configuration.effectiveVolumes) {
      [self] (index) throws(ReplError) in
      outcomes.set(index, try ship(tasks[index], group))
    }
    return try outcomes.all()
  }

  private func ship(_ task: MemberTask, _ group: MemberGroup) throws(ReplError) -> SenderSession.Held {
    var session = VolumeSession(context: context, link: link, task: task, group: group) {
      [self] () throws(ReplError) in try recordProgress(of: task)
    }
    do throws(ReplError) {
      return try session.run()
    } catch {
      throw noteFailure(error, task)
    }
  }

  /// What a member's report says at this moment, for the next life of the run.
  private func recordProgress(of task: MemberTask) throws(ReplError) {
    try context.database.write { [self] in
      try RunMember.saveReport($0, uid: record.uid, volume: task.volume.id, task.progress.report)
    }
  }

  private func noteFailure(_ cause: ReplError, _ task: MemberTask) -> ReplError {
    if isStopped { return cause }
    let isNamed = cause.subject == task.volume.label
    let error = ReplError(
      cause.kind, subject: task.volume.label, cause: isNamed ? cause.cause : "\(cause.subject): \(cause.cause)",
      remedy: cause.remedy)
    let first = firstFailure.withLock { first in
      if first == nil { first = error }
      return first ?? error
    }
    let isBystander = first != error && error.kind == .cancelled
    task.progress.finish(
      error.kind == .cancelled ? .cancelled : .failed, reason: isBystander ? Self.bystander(first) : "\(error)")
    // One failing member fails the group: the others need not go on.
    endMembers()
    let discard = AbortSession(session: task.session, discard: error.kind == .cancelled)
    _ = try? link.request(.abortSession(discard), timeout: RequestTimeout.short)
    guard error.kind == .damaged else { return error }
    try? context.database.write {
      try VolumeRecord.setFullReason($0, task.volume.id, error.cause)
    }
    return error
  }

  /// What is said of a member that did not fail itself: the cause is told once, of who has it.
  private static func bystander(_ error: ReplError) -> String { "not replicated, because \(error.subject) failed" }

  // MARK: Commit

  private func commit(_ tasks: [MemberTask], _ outcomes: [SenderSession.Held]) throws(ReplError) {
    for task in tasks { task.progress.enter(.commit) }
    try context.database.write { database in
      for (task, outcome) in zip(tasks, outcomes) {
        try SnapshotRecord.setState(database, task.snapshot.point, .inDoubt, seal: outcome.seal)
      }
    }
    let isSealed = outcomes.allSatisfy { if case .sealed = $0 { true } else { false } }
    if !isSealed { try sendCommit(tasks.map(\.snapshot.point)) }
    try context.database.write { database in
      for (task, outcome) in zip(tasks, outcomes) {
        try SnapshotRecord.setState(database, task.snapshot.point, .sealed, seal: outcome.seal)
        // A full copy that had no room and gave way to a delta stays due.
        let isPostponed = task.kind == .full && task.fullCopy == .seventh && outcome.seal.proof == .delta
        if !isPostponed {
          try PairCount.increment(database, pair: self.record.request.pair.uid, volume: task.volume.id)
        }
        try VolumeRecord.setFullReason(database, task.volume.id, nil)
      }
    }
    // Only now may the target let go of the point before; should this get lost, the next begin says the same.
    _ = try? link.request(.confirmGroup(ConfirmGroup(group: record.group)), timeout: RequestTimeout.short)
    for (task, outcome) in zip(tasks, outcomes) {
      task.progress.update {
        $0.point = outcome.seal.point.description
        $0.proof = outcome.seal.proof.name
      }
      task.progress.succeed()
      try keeper.prune(task.volume.id, peer: link.cluster, keeping: nil)
    }
  }

  /// Sends the commit until its outcome is known: while it is not, both the new snapshot and the base stay. A run that is
  /// cancelled meanwhile leaves the doubt to the next one, as a crash does.
  private func sendCommit(_ points: [PointID]) throws(ReplError) {
    let reply = try askPatiently(.commitGroup(CommitGroup(group: record.group))) {
      if case .commitGroup(let reply) = $0 { reply } else { nil }
    }
    try PeerAnswers(peer: link.cluster).check(reply, points: points)
  }

  /// Asks again while the peer cannot be reached, as long as a session would, and until the run is cancelled.
  private func askPatiently<Reply>(
    _ request: ControlRequest, _ pick: (ControlReply) -> Reply?
  ) throws(ReplError) -> Reply {
    var patience = Patience(clock: context.clock)
    while true {
      do throws(ReplError) {
        return try link.ask(request, underWay: { (_) throws(ReplError) in try requireWanted() }, pick)
      } catch {
        guard error.kind == .transient, !isStopped, patience.mayTryAgain(done: 0) else { throw error }
      }
      try requireWanted()
      context.clock.sleep(seconds: patience.nextPause())
    }
  }

  private func requireWanted() throws(ReplError) {
    guard members.values.contains(where: \.ship.isCancelled) else { return }
    throw ReplError(.cancelled, subject: "migration \(record.uid)", cause: "the run was cancelled")
  }

  // MARK: End

  private func finish(_ state: RunState, reason: String) throws(ReplError) -> MigrationReport {
    let last = report(state: state, reason: reason)
    var saved = record
    saved.state = state
    saved.report = last
    try context.database.write { [saved] in
      try saved.save($0)
      try RunRecord.prune($0, keep: 1000)
    }
    return last
  }

  private func fail(_ error: ReplError) -> MigrationReport {
    // Only who gave it up has it cancelled: a peer, or a connection that ends, cannot.
    let state: RunState = ending.withLock { $0 == .cancelled } ? .cancelled : .failed
    if state == .failed { context.metrics.runFailed(error.kind) }
    let hasCulprit = members.values.contains { $0.report.state == .failed }
    let reason = state == .cancelled ? "the migration was cancelled" : hasCulprit ? Self.bystander(error) : "\(error)"
    for member in members.values where !member.report.state.isFinal { member.finish(state, reason: reason) }
    // What was never sealed is of no use to a later run, which takes a snapshot of its own.
    for id in record.request.volumes { try? keeper.prune(id, peer: link.cluster, keeping: nil) }
    return (try? finish(state, reason: "\(error)")) ?? report(state: state, reason: "\(error)")
  }
}

extension SourceContext {
  /// Counts the sessions of a run that has ended.
  func noteEnd(of report: MigrationReport, peer: String) {
    for member in report.volumes {
      metrics.ended(member)
      lastSessions.record(member, peer: peer)
    }
  }
}
