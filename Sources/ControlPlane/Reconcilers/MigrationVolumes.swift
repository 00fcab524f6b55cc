import APIModel
import ReplModel
import ReplicationEngine

// Which volumes a Migration takes along.
extension MigrationReconciler {
  /// Whether another Migration works on a volume, or waits for one.
  func isBusy(_ entries: [JSONValue]) async -> Bool {
    for id in entries.compactMap({ $0["volumeID"]?.string.flatMap { VolumeID($0) } })
    where await service.isBusy(volume: id) { return true }
    return false
  }

  func knownVolumes() async throws(StatusError) -> [VolumeReport] {
    do { return try await service.volumes() } catch { throw StatusError(error) }
  }

  /// The volumes of a Migration.
  struct Choice: Sendable {
    var entries: [JSONValue] = []
    var refused: [JSONValue] = []
    /// Claims that are not volumes of an agent, as sentences.
    var skipped: [String] = []
  }

  func choose(_ object: KubeObject, _ spec: MigrationSpec, known: [VolumeReport]) async throws(StatusError)
    -> Choice
  {
    var choice = Choice()
    for namespace in try await chosenNamespaces(object) {
      let claims = try await store.list(ListQuery(.persistentVolumeClaim, namespace: namespace))
      for claim in claims.items where spec.selectors.select(claim) {
        var volume: KubeObject?
        let bound = claim.spec["volumeName"]?.string ?? ""
        if !bound.isEmpty {
          do { volume = try await store.get(.persistentVolume, namespace: "", name: bound) } catch {
            if error.code != 404 { throw error }
          }
        }
        let storageClass = try await storageClass(claim, volume)
        Self.add(claim, volume, storageClass: storageClass, known: known, to: &choice)
      }
    }
    return choice
  }

  private func storageClass(_ claim: KubeObject, _ volume: KubeObject?) async throws(StatusError) -> KubeObject? {
    let name =
      claim.spec["storageClassName"]?.string ?? volume?.spec["storageClassName"]?.string
      ?? claim.annotations["volume.beta.kubernetes.io/storage-class"] ?? ""
    guard !name.isEmpty else { return nil }
    do { return try await store.get(.storageClass, namespace: "", name: name) } catch {
      if error.code == 404 { return nil }
      throw error
    }
  }

  /// Decides about one claim. Pure.
  static func add(
    _ claim: KubeObject, _ volume: KubeObject?, storageClass: KubeObject? = nil, known: [VolumeReport],
    to choice: inout Choice
  ) {
    let bound = claim.spec["volumeName"]?.string ?? ""
    func refuse(_ reason: String) {
      choice.refused.append(
        MigrationStatus.refused(claim: claim.name, namespace: claim.namespace, volume: bound, reason: reason))
    }
    if let refusal = DirectAccess.refusal(volume: volume, storageClass: storageClass) {
      refuse(refusal)
      return
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
