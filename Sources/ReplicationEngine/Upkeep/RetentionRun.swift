import AgentService
import BlockDiff
import ReplModel

/// Deletes the points of a volume that retention lets go of.
struct RetentionRun: Sendable {
  let context: TargetContext

  /// Seconds of this agent's running for which the points of a volume that is gone at its source are kept.
  static let orphanLife: Double = 30 * 86400

  /// Prunes every volume held here: points age also when none are added.
  ///
  /// - Parameter elapsed: seconds since the last time, by a clock that never steps.
  func pruneAll(elapsed: Double) {
    for volume in (try? context.database.read { try Replica.held($0) }) ?? [] {
      guard let source = try? SourceVolume(cluster: volume.cluster, volume: volume.volume) else { continue }
      if volume.deletedAt == nil { prune(source) } else { pruneOrphans(volume, source, elapsed) }
    }
  }

  /// Prunes by policy. Failures are left for the next time: nothing depends on a point being gone.
  func prune(_ source: SourceVolume) {
    guard !isPinned(source), let points = try? points(of: source) else { return }
    let policy = context.configuration.retention
    let doomed = policy.pointsToDelete(candidates(points), secondsSinceClockStep: secondsOfDoubt(policy))
    delete(points.filter { doomed.contains($0.point) }, of: source, because: .retention)
  }

  /// Seconds since the clock stepped, or since this agent started if that may have hidden a step; nil: it is trusted.
  ///
  /// Ages are differences of clock readings. Where they count, a clock is trusted only after it has run for as long as
  /// the longest of them, or for the pause after a step if that is shorter.
  private func secondsOfDoubt(_ policy: RetentionPolicy) -> Double? {
    if let step = context.clockSteps.secondsSinceStep() { return step }
    let longest = (policy.thinning.map(\.age) + [policy.newerThan ?? 0]).max() ?? 0
    let started = context.clockSteps.secondsSinceStart()
    return started < min(longest, RetentionPolicy.stepPause) ? started : nil
  }

  /// The points of a volume that was deleted at its source go together, after their time. Quarantined and promoted ones
  /// stay, and the volume's record with them. No clock reading is asked: nothing else keeps some of them back.
  private func pruneOrphans(_ volume: Replica, _ source: SourceVolume, _ elapsed: Double) {
    guard volume.orphanedSeconds + elapsed >= Self.orphanLife else {
      _ = try? context.database.write {
        try Replica.ageOrphan($0, cluster: volume.cluster, volume: volume.volume, seconds: elapsed)
      }
      return
    }
    guard !isPinned(source), let points = try? points(of: source) else { return }
    delete(points.filter { $0.state == .orphaned || $0.state == .suspect }, of: source, because: .orphaned)
    guard let rest = try? self.points(of: source), rest.isEmpty else { return }
    _ = try? context.database.write { try volume.delete($0) }
  }

  /// Room is wanted: staging went first; now the oldest point above the floor goes, of those volumes that have one in the
  /// pool. The volume it was of; nil when none has one.
  func dropOldestAboveFloor(of sources: [SourceVolume], in pool: String, because reason: String) -> SourceVolume? {
    var oldest: (source: SourceVolume, point: CatalogPoint)?
    for source in sources where !isPinned(source) {
      guard let point = oldestAboveFloor(of: source, in: pool) else { continue }
      if oldest.map({ point.sealedAt < $0.point.sealedAt }) ?? true { oldest = (source, point) }
    }
    guard let oldest else { return nil }
    context.events.post(
      ObjectReference(kind: "Volume", namespace: "", name: oldest.source.volume.description, uid: ""), warning: true,
      "PoolFull", "\(reason): point \(oldest.point.point) is deleted, the oldest above the floor")
    return delete([oldest.point], of: oldest.source, because: .poolFull) ? oldest.source : nil
  }

  private func oldestAboveFloor(of source: SourceVolume, in pool: String) -> CatalogPoint? {
    guard let points = try? points(of: source) else { return nil }
    let policy = RetentionPolicy(keepLast: 1, floor: context.configuration.retention.floor)
    // By count alone: a full pool does not wait for the clock.
    let doomed = policy.pointsToDelete(candidates(points), secondsSinceClockStep: nil)
    return points.last { $0.pool == pool && doomed.contains($0.point) }
  }

  /// All points of a promoted volume stay: a failback begins from the newest that both sides hold. When that cannot be
  /// told, they stay too. The role is asked as well: the record of the promotion may have been set aside as unreadable.
  private func isPinned(_ source: SourceVolume) -> Bool {
    let isPromoted = try? context.database.read { database in
      let role = try Replica.find(database, cluster: source.cluster, volume: source.volume)?.role
      return try role == .promoted || PromotionRecord.find(database, source) != nil
    }
    return isPromoted ?? true
  }

  private func points(of source: SourceVolume) throws(ReplError) -> [CatalogPoint] {
    try context.database.read { try CatalogPoint.all($0, cluster: source.cluster, volume: source.volume) }
  }

  /// The newest confirmed point is the base; until the newest is confirmed, the one before is kept for the source. Doubtful
  /// points stay and do not count: which of them are good is not known before that was read.
  private func candidates(_ all: [CatalogPoint]) -> [RetentionPolicy.Candidate] {
    let points = all.filter(\.doubtful.isEmpty)
    let base = points.first { $0.confirmed && $0.state == .sealed }?.point
    let now = context.clock.now()
    return points.map { point in
      RetentionPolicy.Candidate(
        id: point.point, generation: point.seal.generation, age: max(0, now.seconds(since: point.sealedAt)),
        isHeld: point.point == base || point.state == .promoted || point.state == .quarantined)
    }
  }

  /// The record goes first: a directory without one is never a point. Whether all of them are gone.
  @discardableResult
  private func delete(
    _ points: [CatalogPoint], of source: SourceVolume, because reason: EngineMetrics.Removal
  ) -> Bool {
    var areAllGone = true
    for point in points {
      guard let isGone = try? context.database.write({ try point.delete($0) }) else { return false }
      guard isGone else {
        areAllGone = false
        continue
      }
      context.metrics.pointRemoved(reason)
      try? context.store(pool: point.pool).delete(point.point, of: source)
    }
    DamageBook(context: context).settle(source)
    return areAllGone
  }
}
