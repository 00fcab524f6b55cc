import APIModel
import ReplModel
import ReplicationEngine

/// Binds claims to volumes, and takes the files of bound volumes into the engine. Never deletes anything.
struct VolumeReconciler: Reconciler {
  let kind = ResourceKind.persistentVolumeClaim
  var store: any ObjectStore
  var service: any ReplicationService
  var events: EventRecorder

  private static let importRetry: Duration = .seconds(30)

  func reconcile(_ key: ObjectKey) async throws(StatusError) -> Duration? {
    let claim: KubeObject
    do { claim = try await store.get(kind, namespace: key.namespace, name: key.name) } catch {
      guard error.code == 404 else { throw error }
      try await release(key)
      return nil
    }
    guard !claim.isDeleting, let volume = try await volume(for: claim) else { return nil }
    let bound = try await bind(claim, volume)
    return try await take(claim, bound)
  }

  /// A volume that appears may be the one a claim waits for, or whose claim has gone.
  func keys(affectedBy change: StoreChange) async -> [ObjectKey] {
    guard change.resource == ResourceKind.persistentVolume.resource else { return [] }
    var keys: [ObjectKey] = []
    if let claim = change.object.spec["claimRef"] {
      keys.append(
        ObjectKey(namespace: claim["namespace"]?.string ?? "", name: claim["name"]?.string ?? ""))
    } else if change.action == .added, let page = try? await store.list(ListQuery(kind)) {
      keys += page.items.filter { $0.status["phase"]?.string != "Bound" }
        .map { ObjectKey(namespace: $0.namespace, name: $0.name) }
      try? await setPhase(change.object, "Available")
    }
    return keys
  }

  private func setPhase(_ volume: KubeObject, _ phase: String) async throws(StatusError) {
    _ = try await store.update(.persistentVolume, namespace: "", name: volume.name, part: .whole, dryRun: false) {
      old in
      guard old.spec["claimRef"] == nil || phase != "Available" else { return old }
      var new = old
      new.json[at: "status.phase"] = .string(phase)
      return new
    }
  }

  private func volume(for claim: KubeObject) async throws(StatusError) -> KubeObject? {
    if let name = claim.spec["volumeName"]?.string, !name.isEmpty {
      do { return try await store.get(.persistentVolume, namespace: "", name: name) } catch {
        if error.code == 404 { return nil }
        throw error
      }
    }
    let page = try await store.list(ListQuery(.persistentVolume))
    return Self.choose(for: claim, among: page.items)
  }

  /// The volume reserved for a claim, or the smallest free one that fits. Pure.
  static func choose(for claim: KubeObject, among volumes: [KubeObject]) -> KubeObject? {
    if let reserved = volumes.first(where: { isFor($0, claim) }) { return reserved }
    func bytes(_ object: KubeObject, _ path: String) -> UInt64 {
      object.json[at: path]?.text.flatMap(Quantity.bytes) ?? 0
    }
    let wanted = bytes(claim, "spec.resources.requests.storage")
    let modes = Set(claim.spec["accessModes"]?.array ?? [])
    return volumes.filter { volume in
      volume.spec["claimRef"] == nil && !volume.isDeleting
        && (volume.spec["storageClassName"]?.string ?? "") == (claim.spec["storageClassName"]?.string ?? "")
        && bytes(volume, "spec.capacity.storage") >= wanted
        && modes.isSubset(of: Set(volume.spec["accessModes"]?.array ?? []))
    }.min { bytes($0, "spec.capacity.storage") < bytes($1, "spec.capacity.storage") }
  }

  private static func isFor(_ volume: KubeObject, _ claim: KubeObject) -> Bool {
    guard let reference = volume.spec["claimRef"] else { return false }
    let uid = reference["uid"]?.string ?? ""
    return reference["namespace"]?.string == claim.namespace && reference["name"]?.string == claim.name
      && (uid.isEmpty || uid == claim.uid)
  }

  /// Writes the binding into both objects; the volume first, since it can have one claim only.
  private func bind(_ claim: KubeObject, _ volume: KubeObject) async throws(StatusError) -> KubeObject {
    let bound = try await store.update(
      .persistentVolume, namespace: "", name: volume.name, part: .whole, dryRun: false
    ) { old throws(StatusError) in
      guard old.spec["claimRef"] == nil || Self.isFor(old, claim) || old.status["phase"]?.string == "Released",
        old.spec["claimRef"]?["name"]?.string ?? claim.name == claim.name
      else {
        throw StatusError(500, "InternalError", "volume \(old.name) belongs to another claim")
      }
      var new = old
      new.json[at: "spec.claimRef"] = [
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": .string(claim.namespace),
        "name": .string(claim.name), "uid": .string(claim.uid),
      ]
      new.json[at: "status.phase"] = "Bound"
      return new
    }
    let capacity = bound.json[at: "spec.capacity"] ?? .object([:])
    _ = try await store.update(kind, namespace: claim.namespace, name: claim.name, part: .whole, dryRun: false) { old in
      guard old.uid == claim.uid else { return old }
      var new = old
      new.json[at: "spec.volumeName"] = .string(bound.name)
      var annotations = old.metadata["annotations"]?.object ?? [:]
      annotations["pv.kubernetes.io/bind-completed"] = "yes"
      new[metadata: "annotations"] = .object(annotations)
      new.json["status"] = [
        "phase": "Bound", "accessModes": old.spec["accessModes"] ?? [], "capacity": capacity,
      ]
      return new
    }
    return bound
  }

  /// Makes sure that the engine has the file of a bound volume.
  private func take(_ claim: KubeObject, _ volume: KubeObject) async throws(StatusError) -> Duration? {
    guard let path = volume.json[at: "spec.local.path"]?.string, !path.isEmpty else { return nil }
    do {
      let known = try await service.volumes()
      let id = volume.annotations[VolumeObjects.volumeID]
      if known.contains(where: { $0.id == id }) { return nil }
      // Under a volume's id that the engine no longer has, nothing is imported: it was taken out on purpose.
      if id != nil { return nil }
      var report = known.first { $0.namespace == claim.namespace && $0.name == claim.name && $0.path == path }
      if report == nil {
        report = try await service.importVolume(
          ImportVolumeRequest(
            namespace: claim.namespace, name: claim.name, path: path, pool: nil, allowFuzzy: false))
        await events.record(claim, warning: false, reason: "Imported", message: "\(path) is a volume of the agent")
      }
      guard let report else { return nil }
      try await annotate(volume, report)
      return nil
    } catch let error as ReplError {
      await events.record(claim, warning: true, reason: "ImportFailed", message: "\(error)")
      return Self.importRetry
    } catch let error as StatusError { throw error } catch {
      throw StatusError(500, "InternalError", "\(error)")
    }
  }

  private func annotate(_ volume: KubeObject, _ report: VolumeReport) async throws(StatusError) {
    _ = try await store.update(.persistentVolume, namespace: "", name: volume.name, part: .whole, dryRun: false) {
      old in
      var new = old
      var annotations = old.metadata["annotations"]?.object ?? [:]
      annotations[VolumeObjects.volumeID] = .string(report.id)
      new[metadata: "annotations"] = .object(annotations)
      return new
    }
  }

  /// A volume whose claim has gone says so; its data and the engine's volume stay.
  private func release(_ key: ObjectKey) async throws(StatusError) {
    let page = try await store.list(ListQuery(.persistentVolume))
    for volume in page.items where volume.status["phase"]?.string == "Bound" {
      let claim = volume.spec["claimRef"] ?? .null
      guard claim["namespace"]?.string == key.namespace, claim["name"]?.string == key.name else { continue }
      try await setPhase(volume, "Released")
    }
  }
}
