import APIModel
import KubeModel
import ReplModel
import AgentService

/// Binds claims to volumes, and takes the files of bound volumes into the engine. Never deletes anything.
struct VolumeReconciler: Reconciler {
  let kind = ResourceKind.persistentVolumeClaim
  var store: any KubeStore
  var service: any ReplicationService
  var events: EventRecorder

  private static let retryInterval: Duration = .seconds(30)

  func reconcile(_ key: ObjectKey) async throws(StatusError) -> Duration? {
    let claim = try await store.get(kind, namespace: key.namespace, name: key.name)
    guard !claim.isDeleting else { return nil }
    if let fault = kind.storedFault(claim) {
      await events.record(claim, warning: true, reason: "FailedBinding", message: fault)
      return nil
    }
    guard let volume = try await volume(for: claim) else { return nil }
    guard Self.isFree(volume, for: claim) else {
      await events.record(
        claim, warning: true, reason: "FailedBinding", message: "volume \(volume.name) belongs to another claim")
      return Self.retryInterval
    }
    return try await take(claim, try await bind(claim, volume))
  }

  let related = [ResourceKind.persistentVolume]

  /// A volume that appears may be the one a claim waits for.
  func keys(affectedBy event: KubeEvent, of _: ResourceKind) async -> [ObjectKey] {
    guard event.action != .deleted else { return [] }
    if let claim = event.object.spec["claimRef"] {
      return [ObjectKey(namespace: claim["namespace"]?.string ?? "", name: claim["name"]?.string ?? "")]
    }
    guard event.action == .added, let page = try? await store.list(kind) else { return [] }
    return page.items.filter { $0.status["phase"]?.string != "Bound" }
      .map { ObjectKey(namespace: $0.namespace, name: $0.name) }
  }

  private func volume(for claim: KubeObject) async throws(StatusError) -> KubeObject? {
    if let name = claim.spec["volumeName"]?.string, !name.isEmpty {
      do { return try await store.get(.persistentVolume, namespace: "", name: name) } catch {
        if error.code == 404 { return nil }
        throw error
      }
    }
    return Self.choose(for: claim, among: try await store.list(.persistentVolume).items)
  }

  /// Whether a volume has no claim or one of this name: names are unique, so the one that was there before has gone.
  static func isFree(_ volume: KubeObject, for claim: KubeObject) -> Bool {
    guard let reference = volume.spec["claimRef"] else { return true }
    return reference["namespace"]?.string == claim.namespace && reference["name"]?.string == claim.name
  }

  /// The volume reserved for a claim, or the smallest free one that fits. Pure.
  ///
  /// A volume that a peer has brought is for the claim that it has brought too: a peer does not decide what a claim made
  /// here is bound to, which may name such a volume itself.
  static func choose(for claim: KubeObject, among volumes: [KubeObject]) -> KubeObject? {
    let candidates = volumes.filter {
      !$0.isDeleting && isFree($0, for: claim)
        && $0.annotations[MigrationMark.origin] == claim.annotations[MigrationMark.origin]
    }
    if let reserved = candidates.first(where: { $0.spec["claimRef"] != nil }) { return reserved }
    func bytes(_ object: KubeObject, _ path: String) -> UInt64 {
      object.json[at: path]?.text.flatMap(Quantity.bytes) ?? 0
    }
    let wanted = bytes(claim, "spec.resources.requests.storage")
    let modes = Set(claim.spec["accessModes"]?.array ?? [])
    return candidates.filter { volume in
      (volume.spec["storageClassName"]?.string ?? "") == (claim.spec["storageClassName"]?.string ?? "")
        && bytes(volume, "spec.capacity.storage") >= wanted
        && modes.isSubset(of: Set(volume.spec["accessModes"]?.array ?? []))
    }.min { bytes($0, "spec.capacity.storage") < bytes($1, "spec.capacity.storage") }
  }

  /// Writes the binding into both objects; the volume first, since it can have one claim only.
  private func bind(_ claim: KubeObject, _ volume: KubeObject) async throws(StatusError) -> KubeObject {
    let bound = try await store.change(
      .persistentVolume, namespace: "", name: volume.name
    ) { old throws(StatusError) in
      guard Self.isFree(old, for: claim) else { throw ResourceKind.persistentVolume.conflict(old.name) }
      var new = old
      new.json[at: "spec.claimRef"] = [
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": .string(claim.namespace),
        "name": .string(claim.name), "uid": .string(claim.uid),
      ]
      new.json[at: "status.phase"] = "Bound"
      return new
    }
    let capacity = bound.json[at: "spec.capacity"] ?? .object([:])
    _ = try await store.change(kind, namespace: claim.namespace, name: claim.name) { old in
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
    // A volume that carries an id was taken in before; if the engine has it no more, that was somebody's wish.
    guard let path = volume.json[at: "spec.local.path"]?.string, !path.isEmpty,
      volume.annotations[VolumeObjects.volumeID] == nil
    else { return nil }
    do {
      let known = try await service.volumes()
      var report = known.first { $0.namespace == claim.namespace && $0.name == claim.name && $0.path == path }
      if report == nil {
        report = try await service.importVolume(
          ImportVolumeRequest(
            namespace: claim.namespace, name: claim.name, path: path, pool: nil, allowFuzzy: false))
        await events.record(claim, warning: false, reason: "Imported", message: "\(path) is a volume of the agent")
      }
      if let report { try await annotate(volume, report) }
      return nil
    } catch let error as ReplError {
      await events.record(claim, warning: true, reason: "ImportFailed", message: "\(error)")
      return Self.retryInterval
    } catch let error as StatusError { throw error } catch {
      throw StatusError(500, "InternalError", "\(error)")
    }
  }

  private func annotate(_ volume: KubeObject, _ report: VolumeReport) async throws(StatusError) {
    _ = try await store.change(.persistentVolume, namespace: "", name: volume.name) {
      old in
      var new = old
      var annotations = old.metadata["annotations"]?.object ?? [:]
      annotations[VolumeObjects.volumeID] = .string(report.id)
      new[metadata: "annotations"] = .object(annotations)
      return new
    }
  }
}
