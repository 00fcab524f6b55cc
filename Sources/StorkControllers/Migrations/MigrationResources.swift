import APIModel
import KubeModel
import ReplModel
import AgentService

// The last part of a Migration: its objects are applied by the peer.
extension MigrationReconciler {
  /// Failures in a row over a pair that says it is ready, each after a longer wait, after which the Migration fails:
  /// about 8 minutes.
  private static let resourceAttempts = 20
  /// Objects that get an event of their own.
  private static let announcedResources = 25

  func applyResources(_ object: KubeObject, _ report: MigrationReport?) async throws(StatusError) -> Duration? {
    if let cause = await applicationsActive(object) {
      try await fail(object, cause, volumes: nil)
      return nil
    }
    let spec = MigrationSpec(object)
    let pair: KubeObject
    switch try await schedulerPair(object, name: spec.clusterPair) {
    case .success(let ready): pair = ready
    case .failure(let cause):
      forgetUnanswered(object)
      return try await waitForPeer(object, cause)
    }
    let entries = object.status["volumes"]?.array ?? []
    let runs = report?.volumes ?? entries.compactMap(MigrationStatus.run)
    let request = ResourceRequest(
      migration: object, pair: ClusterPairReconciler.reference(pair),
      namespaces: try await chosenNamespaces(object), volumes: spec.includeVolumes ? runs : [])
    do {
      try await finishResources(object, try await resources.run(request))
      return nil
    } catch let error as ReplError {
      let cause = "Error migrating resources: \(error)"
      if error.kind == .transient, countUnanswered(object) <= Self.resourceAttempts {
        return try await waitForPeer(object, Obstacle(text: cause))
      }
      try await fail(object, cause, volumes: nil)
      return nil
    } catch let error as StatusError { throw error } catch {
      throw StatusError(500, "InternalError", "\(error)")
    }
  }

  private func finishResources(_ object: KubeObject, _ outcome: ResourceOutcome) async throws(StatusError) {
    let results = outcome.results
    let word = MigrationStatus.finalStatus(outcome)
    let failed = results.filter { $0.status == .failed }
    let reason = failed.first.map {
      "\(failed.count) of \(results.count) objects were not applied, the first: \($0.reason)"
    }
    let cleaning = outcome.purgeFailure.map { "Error cleaning up resources: \($0)" }
    try await finish(
      object, word: word, reason: [reason, cleaning, outcome.note].compactMap(\.self).joined(separator: "; "),
      volumes: nil,
      resources: results)
    if let cleaning {
      await events.record(object, warning: true, reason: "PartialSuccess", message: cleaning)
    }
    // Failures first; beyond that many, similar events are one anyway.
    for result in (failed + results.filter { $0.status != .failed }).prefix(Self.announcedResources) {
      await events.record(
        object, warning: result.status == .failed, reason: result.status.rawValue, message: Self.announcement(result))
    }
  }

  /// `apps/v1, Kind=Deployment shop/cart: …`, with nothing before the slash for the core group.
  private static func announcement(_ result: ResourceResult) -> String {
    let group = result.group == "core" ? "" : result.group
    return "\(group)/\(result.version), Kind=\(result.kind) \(result.namespace)/\(result.name): \(result.reason)"
  }

  /// The pair, if objects can be sent over it; otherwise why not.
  private func schedulerPair(_ object: KubeObject, name: String) async throws(StatusError) -> Result<
    KubeObject, Obstacle
  > {
    do {
      let pair = try await store.get(.clusterPair, namespace: object.namespace, name: name)
      if pair.scheduler == .ready, !pair.isDeleting { return .success(pair) }
      let status = pair.status["schedulerStatus"]?.string ?? ""
      return .failure(
        Obstacle(
          text: "Error migrating resources: scheduler Cluster pair is not ready. Status: \(status)",
          isRoutine: pair.scheduler?.isNew == true))
    } catch  where error.code == 404 {
      return .failure(Obstacle(text: "Error migrating resources: \(error.message)"))
    }
  }

  private func waitForPeer(_ object: KubeObject, _ cause: Obstacle) async throws(StatusError) -> Duration? {
    if object.status["reason"]?.string != cause.text {
      try await update(object) { $0.json[at: "status.reason"] = .string(cause.text) }
      if !cause.isRoutine {
        await events.record(object, warning: true, reason: "Failed", message: cause.text)
      }
    }
    return waitLonger(object)
  }

  /// For a Migration of a schedule: the refusal, if the applications run at the peer; nil if not or not known.
  func applicationsActive(_ object: KubeObject) async -> String? {
    guard let peers, let schedule = object.annotations[ScheduledMigration.scheduleName],
      let name = object.spec["clusterPair"]?.string,
      let pair = try? await store.get(.clusterPair, namespace: object.namespace, name: name),
      pair.storage != .notProvided,
      let state = try? await peers.state(
        namespace: object.namespace, name: schedule, pair: ClusterPairReconciler.reference(pair)),
      state.copy == .copy, state.applicationActivated
    else { return nil }
    return "migrated applications are active on remote cluster"
  }
}

/// Stands for the resources phase where there is none.
struct NoResourcePhase: ResourcePhase {
  func run(_ request: ResourceRequest) async throws(ReplError) -> ResourceOutcome {
    throw ReplError(
      .refused, subject: "migration \(request.migration.namespace)/\(request.migration.name)",
      cause: "this agent cannot send objects to its peer", remedy: "upgrade the agent")
  }
}
