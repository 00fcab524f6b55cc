import APIModel
import KubeModel
import ReplModel
import AgentService

// The copy of a schedule at the peer: made by us, never triggers there, and says when applications run there.
extension MigrationScheduleReconciler {
  /// Whether runs may be triggered, and the pair they go to; nil when not.
  ///
  /// A peer that cannot be reached does not stop a schedule: replication must go on by itself as soon as the peer is
  /// back, and the engine refuses on its own what the peer's authority forbids.
  func checkPeer(_ schedule: KubeObject) async throws(StatusError) -> (schedule: KubeObject, pair: KubeObject)? {
    let name = schedule.json[at: "spec.template.spec.clusterPair"]?.string ?? ""
    let pair: KubeObject
    do { pair = try await store.get(.clusterPair, namespace: schedule.namespace, name: name) } catch {
      guard error.code == 404 else { throw error }
      await fail(schedule, "error getting clusterpair (\(schedule.namespace)/\(name)): \(error.message)")
      return nil
    }
    guard let peers, Self.hasAgent(pair), isTimeToAsk(schedule) else {
      return (schedule, pair)
    }
    let state: PeerScheduleState
    do {
      state = try await peers.state(
        namespace: schedule.namespace, name: schedule.name, pair: ClusterPairReconciler.reference(pair))
    } catch {
      await fail(schedule, "Error looking for the copy of the schedule at the peer, migrations go on without: \(error)")
      return (schedule, pair)
    }
    switch state.copy {
    case .foreign:
      forgetAsking(schedule)
      await fail(
        schedule,
        "a non static-copy migrationSchedule with the same name and namespace found in the remote cluster")
      return nil
    case .missing: await putCopy(schedule, peers, pair: pair)
    case .copy: break
    }
    guard state.applicationActivated, schedule.spec["autoSuspend"]?.bool == true else { return (schedule, pair) }
    let suspended = try await update(schedule) { $0.json[at: "spec.suspend"] = true }
    await events.record(
      suspended, warning: true, reason: "Suspended",
      message: "Suspending migration schedule since migrated apps on remote cluster are active")
    return nil
  }

  /// A pair without storage has no agent to keep a copy.
  private static func hasAgent(_ pair: KubeObject) -> Bool { pair.storage != .notProvided }

  private func isTimeToAsk(_ schedule: KubeObject) -> Bool {
    let now = clock()
    return memory.withLock { memory in
      if let asked = memory[schedule.uid, default: Memory()].peerAsked, abs(now - asked) < Self.pollSeconds {
        return false
      }
      memory[schedule.uid]?.peerAsked = now
      return true
    }
  }

  /// What forbids to trigger must be found again by every pass.
  private func forgetAsking(_ schedule: KubeObject) { memory.withLock { $0[schedule.uid]?.peerAsked = nil } }

  /// Gives the copy the template of this schedule, if it may have another.
  func renewCopy(_ schedule: KubeObject, pair: KubeObject) async {
    guard let peers, Self.hasAgent(pair),
      memory.withLock({ $0[schedule.uid]?.template }) != schedule.spec["template"]
    else { return }
    await putCopy(schedule, peers, pair: pair)
  }

  private func putCopy(_ schedule: KubeObject, _ peers: any PeerSchedules, pair: KubeObject) async {
    do {
      try await peers.put(schedule, pair: ClusterPairReconciler.reference(pair))
      memory.withLock { $0[schedule.uid, default: Memory()].template = schedule.spec["template"] }
    } catch {
      await fail(schedule, "Error making the copy of the schedule at the peer, migrations go on without: \(error)")
    }
  }
}
