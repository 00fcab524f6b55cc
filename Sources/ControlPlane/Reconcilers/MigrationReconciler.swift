import APIModel
import ReplModel
import ReplicationEngine
import Synchronization

/// Takes Migrations through their stages and shows what the engine does for them.
final class MigrationReconciler: Reconciler {
  let kind = ResourceKind.migration
  let store: any ObjectStore
  let service: any ReplicationService
  let events: EventRecorder
  private let clock: @Sendable () -> Int64
  /// By uid: when progress was last written, and failures to start in a row.
  private let memory = Mutex<[String: Memory]>([:])

  private struct Memory {
    var written: ContinuousClock.Instant?
    var failures = 0
  }

  private static let pollInterval: Duration = .milliseconds(250)
  /// Progress is written at most this often, since each write is a durable transaction.
  private static let writeInterval: Duration = .seconds(1)

  init(
    store: any ObjectStore, service: any ReplicationService, events: EventRecorder,
    clock: @escaping @Sendable () -> Int64
  ) {
    self.store = store
    self.service = service
    self.events = events
    self.clock = clock
  }

  func reconcile(_ key: ObjectKey) async throws(StatusError) -> Duration? {
    let object = try await store.get(kind, namespace: key.namespace, name: key.name)
    let report: MigrationReport?
    do { report = try await service.migration(uid: object.uid) } catch { throw StatusError(error) }
    switch MigrationDecision.decide(object, report: report) {
    case .prepare:
      try await update(object) { Self.prepared($0) }
      return nil
    case .cancel: return try await cancel(object, report)
    case .fail(let cause):
      await events.record(object, warning: true, reason: "Failed", message: cause)
      try await finish(object, status: "Failed", reason: cause, volumes: nil)
      return nil
    case .begin: return try await begin(object)
    case .start: return try await start(object)
    case .restart: return try await restart(object)
    case .progress(let report): return try await progress(object, report)
    case .finish(let report):
      try await finish(object, report)
      return nil
    case .nothing:
      memory.withLock { $0[object.uid] = nil }
      return nil
    }
  }

  /// A Migration that waits for its pair is looked at as soon as the pair changes.
  func keys(affectedBy change: StoreChange) async -> [ObjectKey] {
    guard change.resource == ResourceKind.clusterPair.resource,
      change.object.status["storageStatus"] != change.old?.status["storageStatus"],
      let page = try? await store.list(ListQuery(kind, namespace: change.object.namespace))
    else { return [] }
    return page.items.filter {
      $0.spec["clusterPair"]?.string == change.object.name && $0.status["stage"]?.string == "Volumes"
        && $0.status["volumes"]?.array == nil
    }.map { ObjectKey(namespace: $0.namespace, name: $0.name) }
  }

  /// Finalizer, defaults and an empty status.
  private static func prepared(_ old: KubeObject) -> KubeObject {
    var new = old
    if !old.finalizers.contains(Stork.finalizer) {
      new[metadata: "finalizers"] = .array((old.finalizers + [Stork.finalizer]).map(JSONValue.string))
    }
    new.json["spec"] = .object(
      MigrationSpec.defaults.merging(old.spec.object ?? [:]) { standard, given in given.isNull ? standard : given })
    if old.status["stage"] == nil { new.json["status"] = MigrationSpec.emptyStatus }
    return new
  }

  func update(_ object: KubeObject, _ change: @escaping @Sendable (KubeObject) -> KubeObject) async throws(StatusError)
  {
    let uid = object.uid
    _ = try await store.update(kind, namespace: object.namespace, name: object.name, part: .whole, dryRun: false) {
      old throws(StatusError) in
      // The object may have been deleted and made anew under the same name meanwhile.
      guard old.uid == uid else { throw ResourceKind.migration.conflict(old.name) }
      return change(old)
    }
  }

  private func begin(_ object: KubeObject) async throws(StatusError) -> Duration? {
    let spec = MigrationSpec(object)
    for name in spec.namespaces {
      do { _ = try await store.get(.namespace, namespace: "", name: name) } catch {
        guard error.code == 404 else { throw error }
        if spec.skipDeletedNamespaces {
          await events.record(
            object, warning: true, reason: "namespace  \(name) was deleted, skipping migration",
            message: error.message)
        } else {
          let cause = "error getting namespace \(name): \(error.message)"
          await events.record(object, warning: true, reason: "Failed", message: cause)
          try await finish(object, status: "Failed", reason: cause, volumes: nil)
          return nil
        }
      }
    }
    try await update(object) { old in
      var new = old
      new.json[at: "status.stage"] = "Volumes"
      new.json[at: "status.status"] = "Pending"
      return new
    }
    return nil
  }

  private func cancel(_ object: KubeObject, _ report: MigrationReport?) async throws(StatusError) -> Duration? {
    if object.status["stage"]?.string != "Final", let report, !report.state.isFinal {
      do { try await service.cancelMigration(uid: object.uid) } catch {
        if error.kind != .notFound { throw StatusError(error) }
      }
      // The run must have let go of the volumes before the object goes.
      do {
        if let now = try await service.migration(uid: object.uid), !now.state.isFinal { return Self.pollInterval }
      } catch { throw StatusError(error) }
    }
    memory.withLock { $0[object.uid] = nil }
    try await update(object) { old in
      var new = old
      let rest = old.finalizers.filter { $0 != Stork.finalizer }
      new[metadata: "finalizers"] = rest.isEmpty ? nil : .array(rest.map(JSONValue.string))
      return new
    }
    return nil
  }

  private func progress(_ object: KubeObject, _ report: MigrationReport) async throws(StatusError) -> Duration? {
    let before = object.status["volumes"]?.array ?? []
    let after = MigrationStatus.merged(before, report)
    let steps = zip(before, after).contains { $0["status"] != $1["status"] || $0["stage"] != $1["stage"] }
    let reason = object.status["reason"]?.string != report.reason
    let late = memory.withLock { memory in
      let due = memory[object.uid]?.written.map { .now - $0 >= Self.writeInterval } ?? true
      if due || steps || reason { memory[object.uid, default: Memory()].written = .now }
      return due
    }
    guard steps || reason || (late && before != after) else { return Self.pollInterval }
    await announce(object, before: before, after: after)
    let now = clock()
    try await update(object) { old in
      var new = old
      new.json[at: "status.status"] = "InProgress"
      new.json[at: "status.volumes"] = .array(after)
      new.json[at: "status.reason"] = .string(report.reason)
      new.json[at: "status.summary"] = MigrationStatus.summary(old, status: new.status, now: now)
      return new
    }
    return Self.pollInterval
  }

  /// One event for each volume that ended since the status was last written.
  private func announce(_ object: KubeObject, before: [JSONValue], after: [JSONValue]) async {
    for (old, new) in zip(before, after) where old["status"] != new["status"] {
      let volume = "\(new["namespace"]?.string ?? "")/\(new["persistentVolumeClaim"]?.string ?? "")"
      if new["status"]?.string == "Successful" {
        await events.record(
          object, warning: false, reason: "Successful", message: "Volume \(volume) migrated successfully")
      } else if new["status"]?.string == "Failed" {
        await events.record(
          object, warning: true, reason: "Failed",
          message: "Error migrating volume \(volume): \(new["reason"]?.string ?? "")")
      }
    }
  }

  private func finish(_ object: KubeObject, _ report: MigrationReport) async throws(StatusError) {
    let before = object.status["volumes"]?.array ?? []
    let after = MigrationStatus.merged(before, report)
    await announce(object, before: before, after: after)
    let status = report.state == .succeeded ? "Successful" : "Failed"
    try await finish(object, status: status, reason: report.reason, volumes: after)
    if status == "Failed", !report.reason.isEmpty {
      await events.record(object, warning: true, reason: "Failed", message: report.reason)
    }
  }

  /// Writes the final status.
  func finish(_ object: KubeObject, status: String, reason: String, volumes: [JSONValue]?) async throws(StatusError) {
    let now = clock()
    memory.withLock { $0[object.uid] = nil }
    try await update(object) { old in
      var new = old
      let stamp = JSONValue.string(Timestamp.text(now))
      new.json[at: "status.stage"] = "Final"
      new.json[at: "status.status"] = .string(status)
      new.json[at: "status.reason"] = .string(reason)
      if let volumes { new.json[at: "status.volumes"] = .array(volumes) }
      if new.status["resources"]?.array == nil { new.json[at: "status.resources"] = [] }
      for key in ["finishTimestamp", "volumeMigrationFinishTimestamp", "resourceMigrationFinishTimestamp"] {
        new.json[at: "status.\(key)"] = stamp
      }
      new.json[at: "status.summary"] = MigrationStatus.summary(old, status: new.status, now: now)
      return new
    }
  }

  /// Remembers that starting did not work and says when to try again: 1 s, doubling to 10 s.
  func waitLonger(_ object: KubeObject) -> Duration {
    let failures = memory.withLock { memory in
      memory[object.uid, default: Memory()].failures += 1
      return memory[object.uid]?.failures ?? 1
    }
    return .seconds(min(10, 1 << min(4, failures - 1)))
  }
}
