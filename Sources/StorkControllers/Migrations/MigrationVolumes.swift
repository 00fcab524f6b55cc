import APIModel
import KubeModel
import ReplModel
import AgentService

// Which volumes a Migration takes along.
extension MigrationReconciler {
  /// Whether another Migration works on a volume, or waits for one.
  func isBusy(_ entries: [JSONValue]) async -> Bool {
    for id in entries.compactMap({ $0["volumeID"]?.string.flatMap { VolumeID($0) } })
    where await service.isBusy(volume: id) { return true }
    return false
  }

  private func knownVolumes() async throws(StatusError) -> [VolumeReport] {
    do { return try await service.volumes() } catch { throw StatusError(error) }
  }

  /// The volumes of a Migration.
  struct Choice: Sendable {
    var entries: [JSONValue] = []
    var refused: [JSONValue] = []
    /// Why the Migration has to wait: volumes that the engine is only just taking in.
    var awaited: [Obstacle] = []
    /// Why nothing can be started yet; nil as well where there is a refusal, which does not get better by waiting.
    var pause: Obstacle? { refused.isEmpty ? awaited.first : nil }
    /// Claims that are not volumes of an agent, as sentences.
    var skipped: [String] = []
  }

  func choose(_ object: KubeObject, _ spec: MigrationSpec) async throws(StatusError) -> Choice {
    var found: [(claim: KubeObject, volume: KubeObject?, storageClass: KubeObject?)] = []
    for namespace in try await chosenNamespaces(object) {
      let claims = try await store.list(.persistentVolumeClaim, namespace: namespace)
      for claim in claims.items where spec.selectors.select(claim) {
        var volume: KubeObject?
        let bound = claim.spec["volumeName"]?.string ?? ""
        if !bound.isEmpty {
          do { volume = try await store.get(.persistentVolume, namespace: "", name: bound) } catch {
            if error.code != 404 { throw error }
          }
        }
        found.append((claim, volume, try await storageClass(claim, volume)))
      }
    }
    // Asked after the claims were read: the objects of a volume are made when the engine has it.
    let known = try await knownVolumes()
    var choice = Choice()
    for (claim, volume, storageClass) in found {
      Self.add(claim, volume, storageClass: storageClass, known: known, now: clock(), to: &choice)
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

  /// Seconds in which the engine takes in the file of a volume that was made by its objects.
  static let intakeTime: Int64 = 60

  /// Whether the engine may not have got to a volume yet: its objects are new, and it was never taken in.
  private static func isNew(_ claim: KubeObject, _ volume: KubeObject, now: Int64) -> Bool {
    guard volume.spec["storageClassName"]?.string == VolumeObjects.storageClass,
      volume.annotations[VolumeObjects.volumeID] == nil
    else { return false }
    let made = [claim, volume].compactMap { Timestamp.seconds($0.metadata["creationTimestamp"]?.string ?? "") }.max()
    return made.map { now < $0 + intakeTime } ?? false
  }

  /// Decides about one claim at `now`, in seconds since 1970. Pure.
  static func add(
    _ claim: KubeObject, _ volume: KubeObject?, storageClass: KubeObject? = nil, known: [VolumeReport],
    now: Int64 = .max, to choice: inout Choice
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
      let name = "\(claim.namespace)/\(claim.name) at \(path ?? "an unknown path")"
      if isNew(claim, volume, now: now) {
        choice.awaited.append(
          Obstacle(text: "waiting for the agent to take in volume \(name)", isRoutine: true))
      } else {
        refuse(
          "the agent has no volume \(name); take it in with `replctl volume import`, or leave the claim out of the "
            + "Migration")
      }
      return
    }
    choice.entries.append(
      MigrationStatus.started(claim: claim.name, namespace: claim.namespace, volume: bound, id: match.id))
  }
}
