import APIModel
import KubeModel

// The runs of a schedule: looking after them, asking for the next one, clearing away old ones.
extension MigrationScheduleReconciler {
  /// Renews the items whose Migrations have gone on.
  ///
  /// An item is written before its Migration is made. One without a Migration is therefore made now, if the process
  /// ended in between; a Migration that this process has seen and that is missing was deleted by somebody.
  func refresh(_ schedule: KubeObject) async throws(StatusError) -> KubeObject {
    var status = ScheduleStatus(schedule)
    var findings: [String: ScheduleStatus.Finding] = [:]
    for item in status.all where item.isActive { findings[item.name] = try await look(schedule, item) }
    let told = status.refresh(findings, now: clock())
    let written = try await write(schedule, status)
    for note in told { await events.record(schedule, note) }
    return written
  }

  private func look(_ schedule: KubeObject, _ item: ScheduleItem) async throws(StatusError) -> ScheduleStatus.Finding? {
    do {
      let migration = try await store.get(.migration, namespace: schedule.namespace, name: item.name)
      guard ScheduledMigration.isOwned(migration, by: schedule) else {
        return .failed("migration \(item.name) was not made by this schedule")
      }
      remember(schedule, item.name)
      // The word of a stage that has none is blank; only the final one counts as an end.
      let word = migration.word ?? .failed
      if migration.stage == .final || word == .inProgress { return .status(word) }
      return .status(item.status == .inProgress ? .inProgress : .pending)
    } catch {
      guard error.code == 404 else { throw error }
      let seen = memory.withLock { $0[schedule.uid]?.made.contains(item.name) == true }
      guard item.status == .pending, !seen else { return .failed(error.message) }
      try await make(schedule, name: item.name, type: nil)
      return nil
    }
  }

  private func remember(_ schedule: KubeObject, _ name: String) {
    memory.withLock { memory in
      // Names of items that have gone are of no use any more.
      if memory[schedule.uid, default: Memory()].made.count > 4 * ScheduleStatus.itemLimit {
        memory[schedule.uid]?.made = []
      }
      memory[schedule.uid]?.made.insert(name)
    }
  }

  /// Makes the Migration of an item. One that is there and ours is as good: it was made before a restart.
  private func make(_ schedule: KubeObject, name: String, type: PolicyType?) async throws(StatusError) {
    do {
      _ = try await store.create(.migration, ScheduledMigration.object(schedule, name: name))
      remember(schedule, name)
    } catch  where error.reason == "AlreadyExists" {
      // Looked at in the next pass, which tells whose it is.
    } catch {
      // A failure of the database may pass; anything else fails the item in the next pass.
      if error.code < 500 { remember(schedule, name) }
      let policy = type?.rawValue ?? name
      await fail(schedule, "Error triggering migration for schedule(\(policy)): \(error.message)")
    }
  }

  /// Starts a run if one is due; how many seconds to wait for the next.
  func trigger(_ schedule: KubeObject, pair: KubeObject) async throws(StatusError) -> (KubeObject, Int64) {
    var status = ScheduleStatus(schedule)
    guard !status.isActive else { return (schedule, Self.pollSeconds) }
    let name = schedule.spec["schedulePolicyName"]?.string ?? ""
    let source: KubeObject
    let policy: SchedulePolicy
    do {
      source = try await policyObject(name, namespace: schedule.namespace)
      policy = try SchedulePolicy(source)
    } catch {
      if let error = error as? StatusError, error.code != 404 { throw error }
      let cause = (error as? SchedulePolicy.Invalid)?.text ?? "schedulepolicy \(name) not found in cache"
      await fail(schedule, "Error checking if migration should be triggered: \(cause)")
      return (schedule, Self.pollSeconds)
    }
    let now = clock()
    let trigger = Trigger(policy: policy, zone: zone)
    let since = max(schedule.created ?? now, source.created ?? now, policySince(schedule, source, now: now))
    var missed: [(type: PolicyType, count: Int, message: String)] = []
    var delay = Self.pollSeconds
    for type in PolicyType.allCases {
      switch trigger.state(type, status.history(type), now: now) {
      case .due(let instant):
        return (try await start(schedule, type, instant, pair: pair), 1)
      case .waiting(let until): if let until { delay = min(delay, until - now) }
      case .missed(let instant, let next):
        // What lies before the schedule or its policy was nobody's to run.
        guard instant > since else { continue }
        let earlier = trigger.missedBefore(instant, type, status.history(type), since: since)
        status.settle(type, instant)
        missed.append((type, earlier + 1, Self.missed(type, instant, earlier: earlier, next: next)))
      }
    }
    let written = try await write(schedule, status)
    for (type, count, message) in missed {
      metrics.trigger(.missed, type, count)
      await events.record(schedule, warning: true, reason: "Missed", message: message)
    }
    return (written, delay)
  }

  /// When a policy became what it is, as far as this process has seen.
  private func policySince(_ schedule: KubeObject, _ source: KubeObject, now: Int64) -> Int64 {
    memory.withLock { memory in
      let before = memory[schedule.uid, default: Memory()].policy
      memory[schedule.uid]?.policy = source.json["policy"]
      if let before, before != source.json["policy"] { memory[schedule.uid]?.policySince = now }
      return memory[schedule.uid]?.policySince ?? .min
    }
  }

  static func missed(_ type: PolicyType, _ instant: Int64, earlier: Int, next: Int64) -> String {
    let many = earlier >= Trigger.missedLimit ? "at least " : ""
    let before = earlier == 0 ? "" : " and \(many)\(earlier) before it"
    return "Missed the \(type.rawValue) trigger of \(Timestamp.text(instant))\(before): no migration could be started"
      + " within an hour of it because the agent was not running, another migration was, or the clock was set; the next one is at"
      + " \(Timestamp.text(next))"
  }

  /// A policy of the namespace goes before one of the cluster.
  private func policyObject(_ name: String, namespace: String) async throws(StatusError) -> KubeObject {
    do {
      return try await store.get(.namespacedSchedulePolicy, namespace: namespace, name: name)
    } catch  where error.code == 404 {
      return try await store.get(.schedulePolicy, namespace: "", name: name)
    }
  }

  /// Writes the item, then makes its Migration.
  private func start(
    _ schedule: KubeObject, _ type: PolicyType, _ instant: Int64, pair: KubeObject
  ) async throws(StatusError) -> KubeObject {
    let now = clock()
    var status = ScheduleStatus(schedule)
    let name = try await freeName(schedule, type, now: now, taken: Set(status.all.map(\.name)))
    await renewCopy(schedule, pair: pair)
    status.items[type, default: []].append(ScheduleItem(name: name, created: now, finished: nil, status: .pending))
    status.settle(type, instant)
    let written = try await write(schedule, status)
    metrics.trigger(.fired, type)
    try await make(written, name: name, type: type)
    return written
  }

  /// The name for a time, or for one of the seconds after it: a clock that went back comes to the same times again.
  private func freeName(
    _ schedule: KubeObject, _ type: PolicyType, now: Int64, taken: Set<String>
  ) async throws(StatusError) -> String {
    for second in now..<now + 600 {
      let name = ScheduledMigration.name(schedule: schedule.name, type: type, at: second)
      guard !taken.contains(name) else { continue }
      do { _ = try await store.get(.migration, namespace: schedule.namespace, name: name) } catch {
        if error.code == 404 { return name }
        throw error
      }
    }
    throw StatusError(409, "AlreadyExists", "migrations of the next ten minutes exist already: delete them")
  }

  /// Deletes Migrations that are older than the last good one of their type, then their items.
  func prune(_ schedule: KubeObject) async throws(StatusError) {
    let (status, names) = ScheduleStatus(schedule).pruned()
    guard !names.isEmpty else { return }
    for name in names {
      do {
        let migration = try await store.get(.migration, namespace: schedule.namespace, name: name)
        if ScheduledMigration.isOwned(migration, by: schedule) { try await delete(migration) }
      } catch { if error.code != 404 { throw error } }
    }
    _ = try await write(schedule, status)
  }

  /// Settles, without a word, the instants that pass while a schedule is suspended.
  func passOver(_ schedule: KubeObject) async throws(StatusError) -> KubeObject {
    var status = ScheduleStatus(schedule)
    let name = schedule.spec["schedulePolicyName"]?.string ?? ""
    guard let source = try? await policyObject(name, namespace: schedule.namespace),
      let policy = try? SchedulePolicy(source)
    else { return schedule }
    let trigger = Trigger(policy: policy, zone: zone)
    for type in PolicyType.allCases {
      if case .missed(let instant, _) = trigger.state(type, status.history(type), now: clock()),
        instant > schedule.created ?? 0
      {
        status.settle(type, instant)
      }
    }
    return try await write(schedule, status)
  }
}
