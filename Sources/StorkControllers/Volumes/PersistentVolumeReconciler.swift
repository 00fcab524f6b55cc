import APIModel
import KubeModel

/// Keeps the phase of PersistentVolumes. A volume whose claim has gone says so; data and the engine's volume stay.
struct PersistentVolumeReconciler: Reconciler {
  let kind = ResourceKind.persistentVolume
  var store: any KubeStore

  func reconcile(_ key: ObjectKey) async throws(StatusError) -> Duration? {
    let volume = try await store.get(kind, namespace: "", name: key.name)
    guard !volume.isDeleting else { return nil }
    var claim: KubeObject?
    if let reference = volume.spec["claimRef"] {
      do {
        claim = try await store.get(
          .persistentVolumeClaim, namespace: reference["namespace"]?.string ?? "",
          name: reference["name"]?.string ?? "")
      } catch { if error.code != 404 { throw error } }
    }
    let phase = Self.phase(volume, claim)
    _ = try await store.change(kind, namespace: "", name: key.name) { old in
      guard old.resourceVersion == volume.resourceVersion else { return old }
      var new = old
      new.json[at: "status.phase"] = .string(phase)
      return new
    }
    return nil
  }

  let related = [ResourceKind.persistentVolumeClaim]

  func keys(affectedBy event: KubeEvent, of kind: ResourceKind) async -> [ObjectKey] {
    guard let name = event.object.spec["volumeName"]?.string, !name.isEmpty else { return [] }
    return [ObjectKey(namespace: "", name: name)]
  }

  /// The phase of a volume, given the claim its reference names. Pure.
  static func phase(_ volume: KubeObject, _ claim: KubeObject?) -> String {
    guard let reference = volume.spec["claimRef"] else { return "Available" }
    let uid = reference["uid"]?.string ?? ""
    if let claim, uid == claim.uid, claim.spec["volumeName"]?.string == volume.name { return "Bound" }
    if uid.isEmpty || uid == claim?.uid { return "Available" }
    return "Released"
  }
}
