import APIModel
import KubeModel

/// Makes of an object of this cluster what the other one is asked to have. Pure: steps in the order of the reference.
struct ResourcePreparation: Sendable {
  var wishes: ResourceWishes
  var migrationName: String
  var migrationNamespace: String
  /// Seconds since 1970.
  var now: Int64

  func prepare(_ kind: ResourceKind, _ object: KubeObject) -> KubeObject {
    var result = Self.reduced(object)
    switch kind.resource {
    case ResourceKind.persistentVolume.resource: Self.prepareVolume(&result)
    case ResourceKind.persistentVolumeClaim.resource: Self.prepareClaim(&result)
    case ResourceKind.service.resource: prepareService(&result, original: object)
    case ResourceKind.job.resource: Self.prepareJob(&result)
    case let resource where MigratedKinds.scaled.contains(resource): prepareReplicas(&result, original: object)
    case ResourceKind.cronJob.resource:
      if !wishes.startApplications { Self.suspend(&result) }
    default: break
    }
    var annotations = result.annotations
    annotations[MigrationMark.migrated] = "true"
    annotations[MigrationMark.hash] = ResourceHash.text(of: result)
    annotations[MigrationMark.migrationName] = migrationName
    annotations[MigrationMark.migrationNamespace] = migrationNamespace
    annotations[MigrationMark.migrationTime] = Self.stamp(now)
    result.setMap("annotations", annotations)
    return result
  }

  /// Name, namespace, labels and annotations are all the metadata that travels; a status is the cluster's own.
  private static func reduced(_ object: KubeObject) -> KubeObject {
    var result = object.withoutIdentity
    result.setMap("labels", MigrationMark.travelling(labels: object.labels))
    result.setMap("annotations", MigrationMark.travelling(object.annotations))
    return result
  }

  private static func prepareVolume(_ volume: inout KubeObject) {
    var annotations = volume.annotations
    annotations[MigrationMark.reclaimPolicy] = volume.spec["persistentVolumeReclaimPolicy"]?.string ?? "Retain"
    annotations[MigrationMark.storageClass] = volume.spec["storageClassName"]?.string ?? ""
    volume.setMap("annotations", annotations)
    volume.json[at: "spec.claimRef"] = nil
    volume.json[at: "spec.storageClassName"] = ""
    volume.json[at: "spec.persistentVolumeReclaimPolicy"] = "Retain"
  }

  /// Which volume a claim is bound to is decided where the volume is.
  private static func prepareClaim(_ claim: inout KubeObject) { claim.json[at: "spec.volumeName"] = nil }

  private func prepareService(_ service: inout KubeObject, original: KubeObject) {
    guard !wishes.skipServiceUpdate, original.annotations[MigrationMark.skipModify]?.lowercased() != "true" else {
      return
    }
    if service.spec["clusterIP"]?.string != "None" {
      service.json[at: "spec.clusterIP"] = ""
      service.json[at: "spec.clusterIPs"] = nil
    }
    service.json[at: "spec.loadBalancerIP"] = nil
  }

  /// Labels that the job controller sets anew for each Job.
  private static func prepareJob(_ job: inout KubeObject) {
    for path in ["metadata.labels", "spec.selector.matchLabels", "spec.template.metadata.labels"] {
      guard let labels = job.json[at: path]?.object else { continue }
      job.json[at: path] = .object(
        labels.filter { !["controller-uid", "batch.kubernetes.io/controller-uid"].contains($0.key) })
    }
  }

  private func prepareReplicas(_ workload: inout KubeObject, original: KubeObject) {
    let replicas = Self.replicas(of: original)
    if wishes.startApplications {
      workload.json[at: "spec.replicas"] = .integer(replicas)
    } else {
      Self.scaleDown(&workload, from: replicas)
    }
  }

  static func suspend(_ cronJob: inout KubeObject) { cronJob.json[at: "spec.suspend"] = true }

  /// No replicas, and what there were in both spellings of the annotation.
  static func scaleDown(_ workload: inout KubeObject, from replicas: Int64) {
    workload.json[at: "spec.replicas"] = 0
    workload.setMap("labels", workload.labels.merging([MigrationMark.migrated: "true"]) { $1 })
    var annotations = workload.annotations
    for key in MigrationMark.replicas { annotations[key] = String(replicas) }
    workload.setMap("annotations", annotations)
  }

  /// How many replicas a workload has when it runs: one that was scaled down here remembers what it had.
  static func replicas(of object: KubeObject) -> Int64 {
    let current = object.spec["replicas"]?.integer ?? 1
    guard current == 0 else { return current }
    let remembered = MigrationMark.replicas.lazy.compactMap { object.annotations[$0].flatMap { Int64($0) } }.first
    return max(0, remembered ?? 0)
  }

  /// `YYYY-MM-DD-HHMMSS` in UTC.
  static func stamp(_ seconds: Int64) -> String {
    let text = Timestamp.text(seconds)
    return "\(text.prefix(10))-\(text.dropFirst(11).prefix(8).filter { $0 != ":" })"
  }
}

/// A short name of a prepared object, the same for equal ones: FNV-1a with 64 bits over its text, in decimal.
enum ResourceHash {
  /// Of everything but the status.
  static func text(of object: KubeObject) -> String {
    var json = object.json
    json["status"] = nil
    return text(of: json)
  }

  static func text(of json: JSONValue) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in JSONWriter.bytes(json) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return String(hash)
  }
}
