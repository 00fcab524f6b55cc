import APIModel
import KubeModel
import Synchronization

/// Makes a Migration each time a schedule's policy is due, one at a time, and keeps the list of what became of them.
final class MigrationScheduleReconciler: Reconciler {
  let kind = ResourceKind.migrationSchedule
  let related = [ResourceKind.migration]
  let store: any KubeStore
  let events: EventRecorder
  let peers: (any PeerSchedules)?
  let zone: ScheduleZone
  let metrics: ScheduleMetrics
  let clock: @Sendable () -> Int64
  /// By uid: what this process remembers of a schedule. Nothing here is needed after a restart.
  let memory = Mutex<[String: Memory]>([:])
  /// By uid: the status word that a Migration was last seen with.
  private let seen = Mutex<[String: String]>([:])

  struct Memory {
    /// Migrations that were seen, or whose making failed for good: one that is missing now has been deleted.
    var made: Set<String> = []
    /// When a message was last told.
    var told: [String: Int64] = [:]
    /// When the copy at the peer was last asked for.
    var peerAsked: Int64?
    /// The template that the copy has.
    var template: JSONValue?
    /// The policy as it was last seen, and since when it is so, if this process saw it change.
    var policy: JSONValue?
    var policySince: Int64?
  }

  /// Longest time between two looks: steps of the clock are noticed within it.
  static let pollSeconds: Int64 = 10
  /// The same message is told again after this many seconds.
  private static let tellAgain: Int64 = 60
  private static let deletionPoll: Duration = .seconds(1)

  init(
    store: any KubeStore, events: EventRecorder, peers: (any PeerSchedules)?, zone: ScheduleZone,
    metrics: ScheduleMetrics = .none, clock: @escaping @Sendable () -> Int64
  ) {
    self.store = store
    self.events = events
    self.peers = peers
    self.zone = zone
    self.metrics = metrics
    self.clock = clock
  }

  func reconcile(_ key: ObjectKey) async throws(StatusError) -> Duration? {
    var schedule = try await store.get(kind, namespace: key.namespace, name: key.name)
    if schedule.isDeleting { return try await end(schedule) }
    if let fault = kind.storedFault(schedule) {
      await fail(schedule, "Error checking if migration should be triggered: \(fault)")
      return .seconds(Self.tellAgain)
    }
    if ScheduledMigration.prepared(schedule) != schedule { schedule = try await update(schedule) { _ in } }
    guard schedule.annotations[MigrationMark.staticCopy] == nil else { return nil }
    schedule = try await refresh(schedule)
    var delay = Self.pollSeconds
    if schedule.spec["suspend"]?.bool == true {
      schedule = try await passOver(schedule)
    } else if let route = try await checkPeer(schedule) {
      (schedule, delay) = try await trigger(route.schedule, pair: route.pair)
    }
    try await prune(schedule)
    return .seconds(max(1, min(Self.pollSeconds, delay)))
  }

  /// A Migration that changes concerns the schedule that owns it.
  func keys(affectedBy event: KubeEvent, of _: ResourceKind) async -> [ObjectKey] {
    let migration = event.object
    // Progress is of no interest: only that it is there, its status word, and its end.
    let word = event.action == .deleted ? nil : migration.status["status"]?.string ?? ""
    let before = seen.withLock { seen in
      defer { seen[migration.uid] = word }
      return seen[migration.uid]
    }
    guard word == nil || word != before else { return [] }
    return (migration.metadata["ownerReferences"]?.array ?? []).compactMap { owner in
      guard owner["kind"]?.string == kind.kind, let name = owner["name"]?.string else { return nil }
      return ObjectKey(namespace: migration.namespace, name: name)
    }
  }

  /// Writes a change to exactly the object that was looked at; fails as a conflict when it has changed since.
  func update(_ schedule: KubeObject, _ change: @escaping @Sendable (inout KubeObject) -> Void)
    async throws(StatusError)
    -> KubeObject
  {
    try await store.change(
      kind, namespace: schedule.namespace, name: schedule.name
    ) { old throws(StatusError) in
      guard old.uid == schedule.uid, old.resourceVersion == schedule.resourceVersion else {
        throw ResourceKind.migrationSchedule.conflict(old.name)
      }
      var new = ScheduledMigration.prepared(old)
      change(&new)
      return new
    }
  }

  func write(_ schedule: KubeObject, _ status: ScheduleStatus) async throws(StatusError) -> KubeObject {
    guard status != ScheduleStatus(schedule) else { return schedule }
    return try await update(schedule) { status.write(to: &$0) }
  }

  /// Tells of a failure; the same one not more than once a minute.
  func fail(_ schedule: KubeObject, _ message: String) async {
    let now = clock()
    let tell = memory.withLock { memory in
      var told = memory[schedule.uid, default: Memory()].told
      if let before = told[message], abs(now - before) < Self.tellAgain { return false }
      if told.count > 32 { told = [:] }
      told[message] = now
      memory[schedule.uid]?.told = told
      return true
    }
    if tell { await events.record(schedule, warning: true, reason: "Failed", message: message) }
  }

  /// Deletes the Migrations of a schedule that is being deleted, waits until they have gone, and lets it go.
  private func end(_ schedule: KubeObject) async throws(StatusError) -> Duration? {
    guard schedule.finalizers.contains(Stork.finalizer) else { return nil }
    let page = try await store.list(.migration, namespace: schedule.namespace)
    let owned = page.items.filter { ScheduledMigration.isOwned($0, by: schedule) }
    for migration in owned where !migration.isDeleting { try await delete(migration) }
    // Deleting is not the end: a run that is cancelled lets go of its volumes first.
    guard owned.isEmpty else { return Self.deletionPoll }
    memory.withLock { $0[schedule.uid] = nil }
    _ = try await update(schedule) { new in
      let rest = new.finalizers.filter { $0 != Stork.finalizer }
      new[metadata: "finalizers"] = rest.isEmpty ? nil : .array(rest.map(JSONValue.string))
    }
    return nil
  }

  func delete(_ migration: KubeObject) async throws(StatusError) {
    do {
      _ = try await store.delete(
        .migration, namespace: migration.namespace, name: migration.name,
        options: DeleteOptions(propagation: .foreground, uid: migration.uid))
    } catch { if error.code != 404, error.code != 409 { throw error } }
  }
}
