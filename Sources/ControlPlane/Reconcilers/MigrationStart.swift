import APIModel
import ReplModel
import ReplicationEngine

// From the stage Volumes to a run of the engine.
extension MigrationReconciler {
  func start(_ object: KubeObject) async throws(StatusError) -> Duration? {
    let spec = MigrationSpec(object)
    guard try await namespacesExist(object, spec) else { return nil }
    guard spec.includeVolumes else {
      try await finish(object, status: "Successful", reason: "", volumes: nil)
      return nil
    }
    let pair: KubeObject
    switch try await readyPair(object, name: spec.clusterPair) {
    case .success(let ready): pair = ready
    case .failure(let cause): return try await wait(object, cause.message)
    }
    let known: [VolumeReport]
    do { known = try await service.volumes() } catch { throw StatusError(error) }
    let choice = try await choose(object, spec, known: known)
    for skipped in choice.skipped {
      await events.record(object, warning: true, reason: "Skipped", message: skipped)
    }
    guard choice.refused.isEmpty else {
      let names = choice.refused.map {
        "\($0["namespace"]?.string ?? "")/\($0["persistentVolumeClaim"]?.string ?? ""): \($0["reason"]?.string ?? "")"
      }
      let cause = "Error migrating volumes: error starting migration for volume: \(names.joined(separator: "; "))"
      try await fail(object, cause, volumes: choice.refused + choice.entries)
      return nil
    }
    guard !choice.entries.isEmpty else {
      try await finish(object, status: "Successful", reason: "", volumes: [])
      return nil
    }
    // Recorded before the engine is asked, so that a restart in between asks again for the same volumes.
    let recorded = try await update(object) { new in
      new.json[at: "status.stage"] = "Volumes"
      new.json[at: "status.status"] = "InProgress"
      new.json[at: "status.reason"] = ""
      new.json[at: "status.volumes"] = .array(choice.entries)
    }
    guard !recorded.isDeleting else { return nil }
    return try await run(object, pair: pair, entries: choice.entries)
  }

  /// Whether the named namespaces exist; one that does not is told of, and is the end if the object is strict.
  private func namespacesExist(_ object: KubeObject, _ spec: MigrationSpec) async throws(StatusError) -> Bool {
    // Told once, when nothing is written yet.
    guard (object.status["stage"]?.string ?? "").isEmpty else { return true }
    for name in spec.namespaces {
      do { _ = try await store.get(.namespace, namespace: "", name: name) } catch {
        guard error.code == 404 else { throw error }
        guard spec.skipDeletedNamespaces else {
          try await fail(object, "error getting namespace \(name): \(error.message)", volumes: nil)
          return false
        }
        await events.record(
          object, warning: true, reason: "namespace  \(name) was deleted, skipping migration",
          message: error.message)
      }
    }
    return true
  }

  /// The run of the recorded volumes, asked for again.
  func restart(_ object: KubeObject) async throws(StatusError) -> Duration? {
    switch try await readyPair(object, name: MigrationSpec(object).clusterPair) {
    case .failure(let cause): return try await wait(object, cause.message)
    case .success(let pair):
      return try await run(object, pair: pair, entries: object.status["volumes"]?.array ?? [])
    }
  }

  private func run(_ object: KubeObject, pair: KubeObject, entries: [JSONValue]) async throws(StatusError)
    -> Duration?
  {
    let volumes = entries.compactMap { $0["volumeID"]?.string.flatMap { VolumeID($0) } }.sorted()
    guard !volumes.isEmpty else {
      try await finish(object, status: "Successful", reason: "", volumes: entries)
      return nil
    }
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
      case .transient, .io, .noSpace, .exists: return try await wait(object, cause)
      default:
        let failed = entries.map { entry in
          var entry = entry
          entry["status"] = "Failed"
          entry["reason"] = .string("\(error)")
          return entry
        }
        try await fail(object, cause, volumes: failed)
        return nil
      }
    }
  }

  /// Tells why nothing happens, and looks again later.
  private func wait(_ object: KubeObject, _ cause: String) async throws(StatusError) -> Duration? {
    if object.status["reason"]?.string != cause {
      try await update(object) { new in
        new.json[at: "status.stage"] = "Volumes"
        if new.status["status"] == "" { new.json[at: "status.status"] = "Pending" }
        new.json[at: "status.reason"] = .string(cause)
      }
      await events.record(object, warning: true, reason: "Failed", message: cause)
    }
    return waitLonger(object)
  }

  private func readyPair(_ object: KubeObject, name: String) async throws(StatusError) -> Result<
    KubeObject, StatusError
  > {
    let prefix = "Error migrating volumes: cluster pair storage status is not ready. Status:"
    do {
      let pair = try await store.get(.clusterPair, namespace: object.namespace, name: name)
      let status = pair.status["storageStatus"]?.string ?? ""
      if status == "Ready", !pair.isDeleting { return .success(pair) }
      return .failure(StatusError(409, "NotReady", "\(prefix) \(status) Err: <nil>"))
    } catch  where error.code == 404 {
      return .failure(
        StatusError(
          404, "NotFound",
          "\(prefix)  Err: error getting clusterpair \(name) (\(object.namespace)): \(error.message)"))
    }
  }

  /// The volumes of a Migration.
  struct Choice: Sendable {
    var entries: [JSONValue] = []
    var refused: [JSONValue] = []
    /// Claims that are not volumes of an agent, as sentences.
    var skipped: [String] = []
  }

  private func choose(_ object: KubeObject, _ spec: MigrationSpec, known: [VolumeReport]) async throws(StatusError)
    -> Choice
  {
    var namespaces = Set(spec.namespaces)
    for (key, value) in spec.namespaceSelectors {
      let page = try await store.list(ListQuery(.namespace, labels: .matching([key: value])))
      namespaces.formUnion(page.items.map(\.name))
    }
    var choice = Choice()
    for namespace in namespaces.sorted() {
      let claims = try await store.list(ListQuery(.persistentVolumeClaim, namespace: namespace))
      for claim in claims.items where !claim.isDeleting && spec.selects(claim) {
        var volume: KubeObject?
        let bound = claim.spec["volumeName"]?.string ?? ""
        if !bound.isEmpty {
          do { volume = try await store.get(.persistentVolume, namespace: "", name: bound) } catch {
            if error.code != 404 { throw error }
          }
        }
        Self.add(claim, volume, known: known, to: &choice)
      }
    }
    return choice
  }

  /// Decides about one claim. Pure.
  static func add(_ claim: KubeObject, _ volume: KubeObject?, known: [VolumeReport], to choice: inout Choice) {
    let bound = claim.spec["volumeName"]?.string ?? ""
    func refuse(_ reason: String) {
      choice.refused.append(
        MigrationStatus.refused(claim: claim.name, namespace: claim.namespace, volume: bound, reason: reason))
    }
    guard let volume else {
      refuse("error getting volume for PVC: the claim is not bound to a volume")
      return
    }
    let path = volume.json[at: "spec.local.path"]?.string
    let id = volume.annotations[VolumeObjects.volumeID]
    guard path != nil || id != nil else {
      choice.skipped.append("PVC \(claim.namespace)/\(claim.name) is not a volume of this agent and is left out")
      return
    }
    let match = known.first { report in
      (report.id == id || (report.namespace == claim.namespace && report.name == claim.name && report.path == path))
        && (report.role == .source || report.role == .promoted)
    }
    guard let match else {
      refuse("the agent has no volume \(claim.namespace)/\(claim.name) at \(path ?? "an unknown path")")
      return
    }
    choice.entries.append(
      MigrationStatus.started(claim: claim.name, namespace: claim.namespace, volume: bound, id: match.id))
  }
}
