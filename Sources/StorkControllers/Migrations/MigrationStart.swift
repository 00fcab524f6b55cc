import APIModel
import KubeModel
import ReplModel
import AgentService

// From the stage Volumes to a run of the engine.
extension MigrationReconciler {
  /// The stage "": what the spec names must be there before anything is touched.
  func begin(_ object: KubeObject) async throws(StatusError) -> Duration? {
    if let cause = await applicationsActive(object) {
      try await fail(object, cause, volumes: nil)
      return nil
    }
    let spec = MigrationSpec(object)
    let (found, missing) = try await namespaces(object)
    if let fault = try await fault(object, spec, found: found, missing: missing) {
      try await fail(object, fault, volumes: nil)
      return nil
    }
    // Told once: a wait leaves a reason behind.
    if (object.status["reason"]?.string ?? "").isEmpty {
      for name in missing {
        await events.record(
          object, warning: true, reason: "namespace  \(name) was deleted, skipping migration",
          message: ResourceKind.namespace.notFound(name).message)
      }
    }
    // What was checked is what is taken along: labels of namespaces may change at any time.
    let chosen = try await update(object) { $0.json[at: "status.namespaces"] = .array(found.map(JSONValue.string)) }
    return chosen.isDeleting ? nil : try await leaveFirstStage(chosen, spec)
  }

  private func fault(
    _ object: KubeObject, _ spec: MigrationSpec, found: [String], missing: [String]
  ) async throws(StatusError) -> String? {
    if !spec.skipDeletedNamespaces, let name = missing.first {
      return "error getting namespace \(name): \(ResourceKind.namespace.notFound(name).message)"
    }
    if found.isEmpty, missing.isEmpty { return MigrationSpec.noNamespace }
    if object.namespace != Stork.adminNamespace, found.contains(where: { $0 != object.namespace }) {
      return MigrationSpec.foreignNamespace
    }
    if let fault = try await adminPairFault(object, spec) { return fault }
    return try await ruleFault(object)
  }

  /// Objects of all scopes go to the control plane of the Migration's own peer: a pair for cluster-wide objects that
  /// leads elsewhere would not be followed.
  private func adminPairFault(_ object: KubeObject, _ spec: MigrationSpec) async throws(StatusError) -> String? {
    guard spec.includeResources, !spec.adminClusterPair.isEmpty else { return nil }
    let name = spec.adminClusterPair
    let admin: KubeObject
    do throws(StatusError) {
      admin = try await store.get(.clusterPair, namespace: Stork.adminNamespace, name: name)
    } catch {
      guard error.code == 404 else { throw error }
      return "error getting admin cluster pair \(Stork.adminNamespace)/\(name): \(error.message)"
    }
    let own = try? await store.get(.clusterPair, namespace: object.namespace, name: spec.clusterPair)
    guard let there = admin.status["remoteStorageId"]?.string, !there.isEmpty,
      let here = own?.status["remoteStorageId"]?.string, !here.isEmpty, here != there
    else { return nil }
    return "adminClusterPair \(name) leads to cluster \(there) and clusterPair \(spec.clusterPair) to \(here): "
      + "cluster-wide objects go to the same cluster as the others; name a pair with that one"
  }

  private func leaveFirstStage(_ object: KubeObject, _ spec: MigrationSpec) async throws(StatusError) -> Duration? {
    guard spec.includeVolumes else {
      let next = try await volumesDone(object, volumes: nil)
      return next.isDeleting ? nil : try await applyResources(next, nil)
    }
    guard !Self.rule(object, .pre).isEmpty else { return try await start(object) }
    // Nobody is made to stand still for a run that cannot start.
    if case .failure(let cause) = try await readyPair(object, name: spec.clusterPair) {
      return try await wait(object, cause)
    }
    let choice = try await choose(object, spec)
    if let cause = choice.pause { return try await wait(object, cause) }
    if await isBusy(choice.entries) { return try await wait(object, Self.busy) }
    return try await runPreRule(object)
  }

  /// In the words of the engine.
  private static let busy = Obstacle(text: "waiting for another migration of the same volumes", isRoutine: true)

  /// The namespaces that were chosen and checked at the beginning.
  ///
  /// A status is no authority: the rule about namespaces holds whatever is written there, and where an older agent has
  /// written nothing.
  func chosenNamespaces(_ object: KubeObject) async throws(StatusError) -> [String] {
    let recorded = object.status["namespaces"]?.array?.compactMap(\.string)
    let chosen: [String]
    if let recorded { chosen = recorded } else { chosen = try await namespaces(object).found }
    return object.namespace == Stork.adminNamespace ? chosen : chosen.filter { $0 == object.namespace }
  }

  /// The namespaces to take along, ascending, and those named that are not there.
  func namespaces(_ object: KubeObject) async throws(StatusError) -> (found: [String], missing: [String]) {
    let spec = MigrationSpec(object)
    var found: Set<String> = []
    var missing: Set<String> = []
    for name in spec.namespaces {
      do {
        _ = try await store.get(.namespace, namespace: "", name: name)
        found.insert(name)
      } catch {
        guard error.code == 404 else { throw error }
        missing.insert(name)
      }
    }
    for (key, value) in spec.namespaceSelectors {
      let page = try await store.list(.namespace, namespace: nil, labels: .matching([key: value]))
      found.formUnion(page.items.map(\.name))
    }
    return (found.sorted(), missing.sorted())
  }

  /// Chooses the volumes, records them and starts their run.
  func start(_ object: KubeObject) async throws(StatusError) -> Duration? {
    let spec = MigrationSpec(object)
    let pair: KubeObject
    switch try await readyPair(object, name: spec.clusterPair) {
    case .success(let ready): pair = ready
    case .failure(let cause): return try await wait(object, cause)
    }
    let choice = try await choose(object, spec)
    if let cause = choice.pause { return try await wait(object, cause) }
    for skipped in choice.skipped {
      await events.record(object, warning: true, reason: "Skipped", message: skipped)
    }
    guard choice.refused.isEmpty else {
      try await refuse(object, choice)
      return nil
    }
    guard !choice.entries.isEmpty else {
      try await release(object)
      let next = try await volumesDone(object, volumes: [])
      return next.isDeleting ? nil : try await applyResources(next, nil)
    }
    // Recorded before the engine is asked, so that a restart in between asks again for the same volumes.
    let recorded = try await update(object) { new in
      new.set(.volumes, .inProgress)
      new.json[at: "status.reason"] = ""
      new.json[at: "status.volumes"] = .array(choice.entries)
    }
    guard !recorded.isDeleting else { return nil }
    return try await run(object, pair: pair, entries: choice.entries)
  }

  /// Ends a Migration some of whose volumes cannot be taken along: a group is whole or it is not.
  private func refuse(_ object: KubeObject, _ choice: Choice) async throws(StatusError) {
    let names = choice.refused.map {
      "\($0["namespace"]?.string ?? "")/\($0["persistentVolumeClaim"]?.string ?? ""): \($0["reason"]?.string ?? "")"
    }
    let cause = "Error migrating volumes: error starting migration for volume: \(names.joined(separator: "; "))"
    let untouched = choice.entries.map { MigrationStatus.abandoned($0, because: "the Migration was refused") }
    try await fail(object, cause, volumes: choice.refused + untouched)
    await announce(object, before: choice.refused.map { _ in .null }, after: choice.refused)
  }

  /// The run of the recorded volumes, asked for again. Where the writers that a pre rule stopped may have gone on
  /// since, all begins again with that rule.
  func restart(_ object: KubeObject) async throws(StatusError) -> Duration? {
    if !Self.rule(object, .pre).isEmpty, !ExecRules(object).mustRelease {
      try await update(object) { new in
        new.set(.notBegun, .none)
        new.json[at: "status.volumes"] = .null
        new.json[path: ["status", ExecRules.key]] = nil
      }
      return Self.shortestPoll
    }
    switch try await readyPair(object, name: MigrationSpec(object).clusterPair) {
    case .failure(let cause): return try await wait(object, cause)
    case .success(let pair):
      return try await run(object, pair: pair, entries: object.status["volumes"]?.array ?? [])
    }
  }

  private func run(_ object: KubeObject, pair: KubeObject, entries: [JSONValue]) async throws(StatusError)
    -> Duration?
  {
    let volumes = entries.compactMap { $0["volumeID"]?.string.flatMap { VolumeID($0) } }.sorted()
    guard !volumes.isEmpty else {
      let next = try await volumesDone(object, volumes: entries)
      return next.isDeleting ? nil : try await applyResources(next, nil)
    }
    // Somebody may have been faster while the pre rule ran.
    if !Self.rule(object, .pre).isEmpty, await isBusy(entries) { return try await wait(object, Self.busy) }
    let request = MigrationRequest(
      reference: ClusterPairReconciler.reference(object), pair: ClusterPairReconciler.reference(pair),
      volumes: volumes, acceptShrink: object.annotations["repl-agent/accept-shrink"] == "true")
    do {
      try await service.startMigration(request)
      remember(object)
      return .milliseconds(10)
    } catch {
      let cause = "Error migrating volumes: error starting migration for volume: \(error)"
      switch error.kind {
      case .transient, .io, .noSpace, .exists: return try await wait(object, Obstacle(text: cause))
      default:
        let failed = entries.map { entry in
          var entry = entry
          entry.set(.failed)
          entry["reason"] = .string("\(error)")
          return entry
        }
        try await fail(object, cause, volumes: failed)
        return nil
      }
    }
  }

  /// Tells why nothing happens, and looks again later. After a pre rule everything begins again, with the rule: nobody
  /// is kept waiting for an absent peer.
  private func wait(_ object: KubeObject, _ cause: Obstacle) async throws(StatusError) -> Duration? {
    try await release(object)
    let withRule = !Self.rule(object, .pre).isEmpty
    let isTold = object.status["reason"]?.string == cause.text
    if !isTold || ExecRules(object).pre != .notRun {
      try await update(object) { new in
        if withRule { new.set(.notBegun, .none) } else { new.set(.volumes, .pending) }
        new.json[at: "status.reason"] = .string(cause.text)
        new.json[path: ["status", ExecRules.key]] = nil
        if withRule { new.json[at: "status.volumes"] = .null }
      }
    }
    if !isTold, !cause.isRoutine {
      await events.record(object, warning: true, reason: "Waiting", message: cause.text)
    }
    return waitLonger(object)
  }

  private func readyPair(_ object: KubeObject, name: String) async throws(StatusError) -> Result<
    KubeObject, Obstacle
  > {
    let prefix = "Error migrating volumes: cluster pair storage status is not ready. Status:"
    do {
      let pair = try await store.get(.clusterPair, namespace: object.namespace, name: name)
      if pair.storage == .ready, !pair.isDeleting { return .success(pair) }
      let isNew = pair.storage?.isNew == true
      let told = isNew ? "" : pair.status["reason"]?.string ?? ""
      let status = pair.status["storageStatus"]?.string ?? ""
      return .failure(
        Obstacle(text: "\(prefix) \(status) Err: \(told.isEmpty ? "<nil>" : told)", isRoutine: isNew))
    } catch  where error.code == 404 {
      return .failure(
        Obstacle(text: "\(prefix)  Err: error getting clusterpair \(name) (\(object.namespace)): \(error.message)"))
    }
  }
}
