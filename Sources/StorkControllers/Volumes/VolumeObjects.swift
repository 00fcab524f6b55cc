public import APIModel
public import KubeModel
public import AgentService

/// The PersistentVolume and PersistentVolumeClaim that stand for a volume of the engine.
public struct VolumeObjects: Sendable {
  /// Storage class of the agent's volumes.
  static let storageClass = "repl-agent"
  /// Id of the engine's volume, on its PersistentVolume.
  static let volumeID = "repl-agent/volume-id"

  private let store: any KubeStore

  public init(store: any KubeStore) { self.store = store }

  /// Name of the PersistentVolume of a volume: by its id, since names are only unique within a namespace.
  static func name(_ report: VolumeReport) -> String { "pv-\(report.id)" }

  /// Makes namespace, volume and claim where they are missing.
  public func ensure(_ report: VolumeReport) async throws(StatusError) {
    try await ensureNamespace(report.namespace)
    try await create(.persistentVolume, Self.persistentVolume(report))
    try await create(.persistentVolumeClaim, Self.claim(report))
  }

  func ensureNamespace(_ name: String) async throws(StatusError) {
    try await create(.namespace, ResourceKind.namespace.object(name: name))
  }

  /// Removes the objects of a volume that the engine no longer has.
  public func remove(_ report: VolumeReport) async throws(StatusError) {
    if let claim = try? await store.get(.persistentVolumeClaim, namespace: report.namespace, name: report.name) {
      let bound = claim.spec["volumeName"]?.string ?? ""
      // A claim of the same name that belongs to another volume stays.
      let volume = try? await store.get(.persistentVolume, namespace: "", name: bound)
      let id = volume?.annotations[Self.volumeID]
      if bound == Self.name(report) || id == report.id {
        try await delete(.persistentVolumeClaim, namespace: report.namespace, name: report.name)
        try await delete(.persistentVolume, namespace: "", name: bound)
        return
      }
    }
    try await delete(.persistentVolume, namespace: "", name: Self.name(report))
  }

  private func create(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) {
    do { _ = try await store.create(kind, object) } catch  where error.reason == "AlreadyExists" {}
  }

  private func delete(_ kind: ResourceKind, namespace: String, name: String) async throws(StatusError) {
    do {
      _ = try await store.delete(kind, namespace: namespace, name: name, options: DeleteOptions())
    } catch  where error.code == 404 {}
  }

  static func persistentVolume(_ report: VolumeReport) -> KubeObject {
    var object = ResourceKind.persistentVolume.object(name: name(report))
    object[metadata: "annotations"] = [volumeID: .string(report.id)]
    object.json["spec"] = [
      "capacity": ["storage": .string(Quantity.text(report.sizeBytes))], "accessModes": ["ReadWriteOnce"],
      "persistentVolumeReclaimPolicy": "Retain", "storageClassName": .string(storageClass),
      "local": ["path": .string(report.path)],
      "claimRef": [
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": .string(report.namespace),
        "name": .string(report.name),
      ],
    ]
    return object
  }

  static func claim(_ report: VolumeReport) -> KubeObject {
    var object = ResourceKind.persistentVolumeClaim.object(namespace: report.namespace, name: report.name)
    object.json["spec"] = [
      "accessModes": ["ReadWriteOnce"], "storageClassName": .string(storageClass),
      "volumeName": .string(name(report)),
      "resources": ["requests": ["storage": .string(Quantity.text(report.sizeBytes))]],
    ]
    return object
  }
}
