import APIModel
import KubeModel
import ReplModel
import AgentService

/// The PersistentVolumes and claims of volumes that this agent holds for a peer.
///
/// Path, capacity, storage class and binding are this end's own; the peer gives labels, annotations and access modes.
/// A volume that is not live here is `standby`: an annotation of both objects and the reason in the volume's status.
struct VolumeApplier: Sendable {
  var store: any KubeStore
  var service: any ReplicationService
  var applier: ResourceApplier
  /// By the id of the volume: those held for the peer, live ones among them.
  private var held: [VolumeID: VolumeReport] = [:]
  private let cluster: String

  static let standbyReason = "standby"

  /// What came of making the volumes of a Migration live.
  struct Promotions: Sendable {
    var reports: [VolumeID: VolumeReport] = [:]
    var failures: [VolumeID: String] = [:]
    /// Why applications must not start; nil if they may.
    var failure: String?

    /// Volumes none of which goes live, because one of them cannot.
    func abandoned(_ volumes: [TravellingVolume], because cause: String) -> Promotions {
      var result = self
      result.failure = cause
      for volume in volumes where failures[volume.volume] == nil { result.failures[volume.volume] = cause }
      return result
    }
  }

  init(
    store: any KubeStore, service: any ReplicationService, applier: ResourceApplier, held: [VolumeReport],
    cluster: String
  ) {
    self.store = store
    self.service = service
    self.applier = applier
    self.cluster = cluster
    for report in held where report.sourceCluster == cluster && report.role != .source {
      if let id = VolumeID(report.id) { self.held[id] = report }
    }
  }

  /// Makes the volumes live if the applications are to start; those that are live already stay as they are.
  ///
  /// A group goes live whole: all are checked, so that each that cannot has its own reason, and then the engine makes
  /// all of them live or none. Promoting the same points again is no error.
  /// - Throws: `.transient` when the document is to be sent again.
  func promote(_ document: ResourceDocument) async throws(ReplError) -> Promotions {
    var promotions = Promotions(reports: held)
    guard document.startApplications else { return promotions }
    let wanted = document.volumes.filter { held[$0.volume]?.role != .promoted }
    for volume in wanted {
      do throws(ReplError) { try await check(volume) } catch {
        if error.kind == .transient { throw error }
        promotions.failures[volume.volume] = "\(error)"
        promotions.failure = promotions.failure ?? "\(error)"
      }
    }
    if let failure = promotions.failure { return promotions.abandoned(wanted, because: failure) }
    do throws(ReplError) {
      try requireTime()
      var group: [VolumePromotion] = []
      for volume in wanted { group.append(VolumePromotion(volume: volume.volume, point: try point(of: volume))) }
      for (volume, report) in zip(wanted, try await service.promote(group, from: cluster)) {
        promotions.reports[volume.volume] = report
      }
    } catch {
      if error.kind == .transient { throw error }
      return promotions.abandoned(wanted, because: "\(error)")
    }
    return promotions
  }

  /// The task of a document whose time or connection is over goes on with nothing new.
  private func requireTime() throws(ReplError) {
    guard Task.isCancelled else { return }
    throw ReplError(.transient, subject: "volumes of \(cluster)", cause: "the document is waited for no longer")
  }

  private func check(_ wanted: TravellingVolume) async throws(ReplError) {
    try await service.checkPromotion(volume: wanted.volume, from: cluster, point: try point(of: wanted))
  }

  private func point(of wanted: TravellingVolume) throws(ReplError) -> PointID {
    if let point = wanted.point { return point }
    throw ReplError(
      .refused, subject: "volume \(wanted.volume) of \(cluster)",
      cause: held[wanted.volume] == nil
        ? "is not held here" : "is standby here, and this migration has no point of it",
      remedy: "migrate it with includeVolumes")
  }

  /// Applies a volume or a claim.
  func apply(_ item: TravellingObject, _ live: Promotions) async -> ResourceResult {
    guard let id = item.volume, let report = live.reports[id], report.sizeBytes > 0 else {
      return .failed(item.object, "no recovery point of its volume is held here: migrate it with its volumes first")
    }
    do throws(StatusError) {
      try ResourceApplier.checkSize(item.object)
      if item.object.kind == ResourceKind.persistentVolume.kind {
        try await applyVolume(item, report)
      } else {
        try await applyClaim(item.object, report)
      }
    } catch {
      return .failed(item.object, error.message)
    }
    if let failure = live.failures[id] { return .failed(item.object, "is not live: \(failure)") }
    return .migrated(item.object)
  }

  // MARK: Volumes

  private func applyVolume(_ item: TravellingObject, _ report: VolumeReport) async throws(StatusError) {
    let claim = item.claim ?? ObjectName(kind: "", namespace: report.namespace, name: report.name)
    try checkNamespace(claim.namespace)
    try await checkClaim(claim)
    let wanted = volume(item.object, claim, report)
    let rules = applier.rules
    do throws(StatusError) {
      _ = try await store.create(.persistentVolume, wanted)
    } catch {
      guard error.reason == "AlreadyExists" else { throw error }
    }
    let reason = report.role == .promoted ? "" : Self.standbyReason
    _ = try await store.change(.persistentVolume, namespace: "", name: wanted.name) {
      old throws(StatusError) in
      if let refusal = rules.overwriteRefusal(old) {
        throw ResourceApplier.refused(.persistentVolume, old, refusal)
      }
      var new = ResourceApplier.merged(old, wanted)
      // The binding stays as long as it is to the same claim.
      if Self.names(old, claim) { new.json[at: "spec.claimRef"] = old.spec["claimRef"] }
      new.json[at: "status.reason"] = reason.isEmpty ? nil : .string(reason)
      return new
    }
  }

  /// A claim of this end's own must not find a volume reserved for it that somebody else has brought.
  private func checkClaim(_ claim: ObjectName) async throws(StatusError) {
    let existing: KubeObject
    do throws(StatusError) {
      existing = try await store.get(.persistentVolumeClaim, namespace: claim.namespace, name: claim.name)
    } catch {
      if error.code == 404 { return }
      throw error
    }
    if let refusal = applier.rules.overwriteRefusal(existing) {
      throw ResourceApplier.refused(.persistentVolumeClaim, existing, refusal)
    }
  }

  /// The volume as it will be here. Pure.
  func volume(_ sent: KubeObject, _ claim: ObjectName, _ report: VolumeReport) -> KubeObject {
    var object = VolumeObjects.persistentVolume(report)
    object.setMap("labels", sent.labels)
    object.json[at: "spec.claimRef"] = [
      "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": .string(claim.namespace),
      "name": .string(claim.name),
    ]
    if report.path.isEmpty { object.json[at: "spec.local"] = nil }
    for key in ["accessModes", "volumeMode"] { object.json[path: ["spec", key]] = sent.spec[key] ?? object.spec[key] }
    stamp(&object, sent.annotations, report)
    return object
  }

  // MARK: Claims

  private func applyClaim(_ sent: KubeObject, _ report: VolumeReport) async throws(StatusError) {
    try checkNamespace(sent.namespace)
    let wanted = claim(sent, report)
    if let bound = try await boundElsewhere(wanted) {
      guard bound.annotations[MigrationMark.standby] == "true" else {
        throw ResourceApplier.refused(
          .persistentVolumeClaim, bound, "is bound to another volume here, \(bound.spec["volumeName"]?.text ?? "")")
      }
      // The source has made the volume anew. The claim is a name; the volume it named, and its points, stay.
      _ = try await store.delete(
        .persistentVolumeClaim, namespace: bound.namespace, name: bound.name,
        options: DeleteOptions(propagation: .orphan, uid: bound.uid))
    }
    let stored = try await applier.write(.persistentVolumeClaim, wanted)
    try await bind(stored, to: VolumeObjects.name(report))
  }

  /// The claim as it will be here. Pure.
  func claim(_ sent: KubeObject, _ report: VolumeReport) -> KubeObject {
    var object = ResourceApplier.reduced(sent)
    object.json[at: "spec.volumeName"] = .string(VolumeObjects.name(report))
    object.json[at: "spec.storageClassName"] = .string(VolumeObjects.storageClass)
    stamp(&object, sent.annotations, report)
    object.setMap("annotations", object.annotations.filter { $0.key != VolumeObjects.volumeID })
    return object
  }

  private func boundElsewhere(_ wanted: KubeObject) async throws(StatusError) -> KubeObject? {
    do throws(StatusError) {
      let old = try await store.get(.persistentVolumeClaim, namespace: wanted.namespace, name: wanted.name)
      if let refusal = applier.rules.overwriteRefusal(old) {
        throw ResourceApplier.refused(.persistentVolumeClaim, old, refusal)
      }
      return old.spec["volumeName"] == wanted.spec["volumeName"] ? nil : old
    } catch {
      if error.code == 404 { return nil }
      throw error
    }
  }

  /// Writes the binding into both objects, as the volume controller would.
  private func bind(_ claim: KubeObject, to name: String) async throws(StatusError) {
    let target = ObjectName(kind: claim.kind, namespace: claim.namespace, name: claim.name)
    let rules = applier.rules
    let volume: KubeObject
    do throws(StatusError) {
      volume = try await store.change(.persistentVolume, namespace: "", name: name) {
        old throws(StatusError) in
        guard rules.overwriteRefusal(old) == nil, Self.names(old, target) else { return old }
        var new = old
        new.json[at: "spec.claimRef.uid"] = .string(claim.uid)
        new.json[at: "status.phase"] = "Bound"
        return new
      }
    } catch {
      // The volume did not come along; the claim waits for it.
      if error.code == 404 { return }
      throw error
    }
    guard Self.names(volume, target) else { return }
    let capacity = volume.json[at: "spec.capacity"] ?? .object([:])
    _ = try await store.change(
      .persistentVolumeClaim, namespace: claim.namespace, name: claim.name
    ) { old in
      guard old.uid == claim.uid else { return old }
      var new = old
      var annotations = old.annotations
      annotations["pv.kubernetes.io/bind-completed"] = "yes"
      new.setMap("annotations", annotations)
      new.json["status"] = ["phase": "Bound", "accessModes": old.spec["accessModes"] ?? [], "capacity": capacity]
      return new
    }
  }

  private static func names(_ volume: KubeObject, _ claim: ObjectName) -> Bool {
    let reference = volume.spec["claimRef"]
    return reference?["namespace"]?.string == claim.namespace && reference?["name"]?.string == claim.name
  }

  // MARK: Both

  private func checkNamespace(_ namespace: String) throws(StatusError) {
    if let refusal = applier.rules.namespaceRefusal(namespace) {
      throw StatusError(403, "Forbidden", "\(refusal)")
    }
  }

  /// Annotations of the sender's and this end's own, with a hash over what is made of both.
  private func stamp(_ object: inout KubeObject, _ sent: [String: String], _ report: VolumeReport) {
    var annotations = sent
    for key in [MigrationMark.hash, MigrationMark.migrationName, MigrationMark.migrationTime] { annotations[key] = nil }
    object.setMap("annotations", annotations)
    applier.mark(&object)
    annotations = object.annotations
    annotations[VolumeObjects.volumeID] = report.id
    annotations[MigrationMark.standby] = report.role == .promoted ? nil : "true"
    object.setMap("annotations", annotations)
    annotations[MigrationMark.hash] = ResourceHash.text(of: object)
    for key in [MigrationMark.migrationName, MigrationMark.migrationTime] { annotations[key] = sent[key] }
    object.setMap("annotations", annotations)
  }
}
