import APIModel
import KubeModel
import ReplModel
import AgentService
import Synchronization

/// Takes Migrations through their stages and shows what the engine does for them.
final class MigrationReconciler: Reconciler {
  let kind = ResourceKind.migration
  let related = [ResourceKind.clusterPair]
  let store: any KubeStore
  let service: any ReplicationService
  let events: EventRecorder
  let clock: @Sendable () -> Int64
  /// By uid: what is remembered of a run while it lasts.
  private let memory = Mutex<[String: Memory]>([:])

  private struct Memory {
    /// When this process first saw it run.
    var since = ContinuousClock.now
    /// When its progress was last written.
    var written = ContinuousClock.now
    /// Failures to go on in a row: how long to wait.
    var failures = 0
    /// Those of them in which a peer did not answer whose pair was ready.
    var unanswered = 0
  }

  /// Time between looks at a run that has lasted for some seconds; a young one is looked at more often, so that a cycle
  /// of some milliseconds does not take a quarter of a second to be seen.
  private static let pollInterval: Duration = .milliseconds(250)
  static let shortestPoll: Duration = .milliseconds(10)
  /// Progress is written at most this often, since each write is a durable transaction.
  private static let writeInterval: Duration = .seconds(1)
  /// The same for a new stage of a volume.
  private static let stageInterval: Duration = .milliseconds(200)

  let runner: any HookRunner
  /// Where hooks are, for messages.
  let hooksDirectory: String
  let resources: any ResourcePhase
  let peers: (any PeerSchedules)?

  init(
    store: any KubeStore, service: any ReplicationService, events: EventRecorder, hooks: HookDirectory,
    resources: (any ResourcePhase)? = nil, peers: (any PeerSchedules)? = nil,
    clock: @escaping @Sendable () -> Int64
  ) {
    self.store = store
    self.service = service
    self.events = events
    self.clock = clock
    runner = hooks
    hooksDirectory = hooks.path
    self.resources = resources ?? NoResourcePhase()
    self.peers = peers
  }

  func reconcile(_ key: ObjectKey) async throws(StatusError) -> Duration? {
    let object = try await store.get(kind, namespace: key.namespace, name: key.name)
    let report: MigrationReport?
    do { report = try await service.migration(uid: object.uid) } catch { throw StatusError(error) }
    switch MigrationDecision.decide(object, report: report) {
    case .cancel: return try await cancel(object, report)
    case .fail(let cause):
      try await fail(object, cause, volumes: nil)
      return nil
    case .begin: return try await begin(object)
    case .preRule: return try await runPreRule(object)
    case .start: return try await start(object)
    case .restart: return try await restart(object)
    case .postRule(let report): return try await runPostRule(object, report)
    case .progress(let report): return try await progress(object, report)
    case .volumesEnded(let report): return try await volumesEnded(object, report)
    case .resources(let report): return try await applyResources(object, report)
    case .nothing:
      memory.withLock { $0[object.uid] = nil }
      return nil
    }
  }

  /// A Migration that waits for its pair is looked at as soon as the pair changes.
  func keys(affectedBy event: KubeEvent, of _: ResourceKind) async -> [ObjectKey] {
    let pair = event.object
    guard let page = try? await store.list(kind, namespace: pair.namespace) else { return [] }
    return page.items.filter {
      $0.spec["clusterPair"]?.string == pair.name && $0.stage != .final
        && $0.status["reason"]?.string?.isEmpty == false
    }.map { ObjectKey(namespace: $0.namespace, name: $0.name) }
  }

  /// Writes a change, with the finalizer, the defaults and an empty status before it where they are missing.
  @discardableResult
  func update(_ object: KubeObject, _ change: @escaping @Sendable (inout KubeObject) -> Void) async throws(StatusError)
    -> KubeObject
  {
    let (uid, now) = (object.uid, clock())
    return try await store.change(
      kind, namespace: object.namespace, name: object.name
    ) { old throws(StatusError) in
      // The object may have been deleted and made anew under the same name meanwhile.
      guard old.uid == uid else { throw ResourceKind.migration.conflict(old.name) }
      var new = Self.prepared(old)
      change(&new)
      // Clients that find none take the object for one of a very old version.
      if !new.isDeleting, new.status["summary"]?.object == nil {
        new.json[at: "status.summary"] = MigrationStatus.summary(new, status: new.status, now: now)
      }
      return new
    }
  }

  private static func prepared(_ old: KubeObject) -> KubeObject {
    guard !old.isDeleting else { return old }
    var new = old
    if !old.finalizers.contains(Stork.finalizer) {
      new[metadata: "finalizers"] = .array((old.finalizers + [Stork.finalizer]).map(JSONValue.string))
    }
    new.json["spec"] = .object(
      MigrationSpec.defaults.merging(old.spec.object ?? [:]) { standard, given in given.isNull ? standard : given })
    if old.status["stage"] == nil { new.json["status"] = MigrationSpec.emptyStatus }
    return new
  }

  private func cancel(_ object: KubeObject, _ report: MigrationReport?) async throws(StatusError) -> Duration? {
    if object.stage != .final, let report, !report.state.isFinal {
      do { try await service.cancelMigration(uid: object.uid) } catch {
        if error.kind != .notFound { throw StatusError(error) }
      }
      // The run must have let go of the volumes before the object goes.
      do {
        if let now = try await service.migration(uid: object.uid), !now.state.isFinal { return Self.pollInterval }
      } catch { throw StatusError(error) }
    }
    try await release(object)
    memory.withLock { $0[object.uid] = nil }
    try await update(object) { new in
      let rest = new.finalizers.filter { $0 != Stork.finalizer }
      new[metadata: "finalizers"] = rest.isEmpty ? nil : .array(rest.map(JSONValue.string))
    }
    return nil
  }

  private func progress(_ object: KubeObject, _ report: MigrationReport) async throws(StatusError) -> Duration? {
    let before = object.status["volumes"]?.array ?? []
    let after = MigrationStatus.merged(before, report)
    let steps = zip(before, after).contains { $0["status"] != $1["status"] || $0["stage"] != $1["stage"] }
    let reason = object.status["reason"]?.string != report.reason
    let (age, delay) = memory.withLock { memory in
      let run = memory[object.uid] ?? Memory()
      memory[object.uid] = run
      return (.now - run.written, min(Self.pollInterval, max(Self.shortestPoll, (.now - run.since) / 8)))
    }
    let due = age >= Self.writeInterval && before != after || age >= Self.stageInterval && (steps || reason)
    guard due else { return delay }
    let now = clock()
    try await update(object) { new in
      new.set(.inProgress)
      new.json[at: "status.volumes"] = .array(after)
      new.json[at: "status.reason"] = .string(report.reason)
      new.json[at: "status.summary"] = MigrationStatus.summary(new, status: new.status, now: now)
    }
    memory.withLock { $0[object.uid]?.written = .now }
    await announce(object, before: before, after: after)
    return delay
  }

  /// One event for each volume that ended since the status was last written.
  func announce(_ object: KubeObject, before: [JSONValue], after: [JSONValue]) async {
    for (old, new) in zip(before, after) where old.volumeWord != new.volumeWord {
      let claim = "\(new["namespace"]?.string ?? "")/\(new["persistentVolumeClaim"]?.string ?? "")"
      // A claim that is not bound has no volume to be named.
      let volume = new["volume"]?.string.flatMap { $0.isEmpty ? nil : $0 } ?? claim
      switch new.volumeWord {
      case .successful:
        await events.record(
          object, warning: false, reason: "Successful", message: "Volume \(volume) migrated successfully")
      case .failed:
        await events.record(
          object, warning: true, reason: "Failed",
          message: "Error migrating volume \(volume): \(new["reason"]?.string ?? "")")
      default: break
      }
    }
  }

  /// The end of the volumes: a failure is the end of all, otherwise the objects follow in the same pass.
  private func volumesEnded(_ object: KubeObject, _ report: MigrationReport) async throws(StatusError) -> Duration? {
    let before = object.status["volumes"]?.array ?? []
    let after = MigrationStatus.merged(before, report)
    guard report.state == .succeeded else {
      // The status before the events: whoever waits for the end waits for the status.
      try await finish(object, word: .failed, reason: report.reason, volumes: after)
      await announce(object, before: before, after: after)
      if !report.reason.isEmpty {
        await events.record(object, warning: true, reason: "Failed", message: report.reason)
      }
      return nil
    }
    // No Migration fails over it: the next one tries again.
    try? await VolumeCapacity(store: store, service: service).follow(Set(report.volumes.map(\.volume)))
    let next = try await volumesDone(object, volumes: after)
    await announce(object, before: before, after: after)
    return next.isDeleting ? nil : try await applyResources(next, report)
  }

  /// Writes that the volumes are done with: nil where none were asked for.
  func volumesDone(_ object: KubeObject, volumes: [JSONValue]?) async throws(StatusError) -> KubeObject {
    let now = clock()
    let spec = MigrationSpec(object)
    memory.withLock { $0[object.uid] = nil }
    return try await update(object) { new in
      // Without objects the stage stays; the reference has no status word in Applications when there are no volumes.
      new.set(
        spec.includeResources || !spec.includeVolumes ? .applications : .volumes,
        spec.includeVolumes ? .inProgress : .none)
      new.json[at: "status.reason"] = ""
      if let volumes { new.json[at: "status.volumes"] = .array(volumes) }
      new.json[at: "status.volumeMigrationFinishTimestamp"] = .string(Timestamp.text(now))
      new.json[at: "status.summary"] = MigrationStatus.summary(new, status: new.status, now: now)
    }
  }

  /// Ends a Migration that cannot go on.
  func fail(_ object: KubeObject, _ cause: String, volumes: [JSONValue]?) async throws(StatusError) {
    try await release(object)
    try await finish(object, word: .failed, reason: cause, volumes: volumes)
    await events.record(object, warning: true, reason: "Failed", message: cause)
  }

  /// Writes the final status. `resources` are nil where that phase was not reached.
  func finish(
    _ object: KubeObject, word: MigrationWord, reason: String, volumes: [JSONValue]?, resources: [ResourceResult]? = nil
  ) async throws(StatusError) {
    let now = clock()
    memory.withLock { $0[object.uid] = nil }
    try await update(object) { new in
      let stamp = JSONValue.string(Timestamp.text(now))
      new.set(.final, word)
      new.json[at: "status.reason"] = .string(reason)
      if let volumes { new.json[at: "status.volumes"] = .array(volumes) }
      if let resources {
        new.json[at: "status.resources"] = .array(MigrationStatus.entries(resources))
        new.json[at: "status.resourceMigrationFinishTimestamp"] = stamp
      }
      new.json[at: "status.finishTimestamp"] = stamp
      if new.status["volumeMigrationFinishTimestamp"]?.string == nil, volumes != nil {
        new.json[at: "status.volumeMigrationFinishTimestamp"] = stamp
      }
      new.json[at: "status.summary"] = MigrationStatus.summary(new, status: new.status, resources: resources, now: now)
    }
  }

  /// Counts one more answer that did not come although the pair was ready; how many there are in a row.
  func countUnanswered(_ object: KubeObject) -> Int {
    memory.withLock { memory in
      memory[object.uid, default: Memory()].unanswered += 1
      return memory[object.uid]?.unanswered ?? 1
    }
  }

  /// Begins the count anew: a pair that is not ready is waited for as long as it takes.
  func forgetUnanswered(_ object: KubeObject) {
    memory.withLock { memory in
      memory[object.uid]?.unanswered = 0
      memory[object.uid]?.failures = 0
    }
  }

  /// Remembers that a run began now.
  func remember(_ object: KubeObject) { memory.withLock { $0[object.uid] = Memory() } }

  /// Remembers that something did not work and says when to try again: 1 s, doubling to 30 s.
  func waitLonger(_ object: KubeObject) -> Duration {
    let failures = memory.withLock { memory in
      memory[object.uid, default: Memory()].failures += 1
      return memory[object.uid]?.failures ?? 1
    }
    return .seconds(min(30, 1 << min(5, failures - 1)))
  }
}
