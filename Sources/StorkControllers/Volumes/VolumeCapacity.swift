import AgentService
import APIModel
import KubeModel

/// Brings the capacities of PersistentVolumes and their claims up to the sizes that the volumes have: a file that was made
/// larger is no larger claim by itself.
struct VolumeCapacity {
  let store: any KubeStore
  let service: any ReplicationService

  /// - Parameter ids: of the volumes that may have changed.
  func follow(_ ids: Set<String>) async throws(StatusError) {
    let reports: [VolumeReport]
    do { reports = try await service.volumes() } catch { throw StatusError(error) }
    let sizes = Dictionary(
      reports.filter { ids.contains($0.id) }.map { ($0.id, $0.sizeBytes) }, uniquingKeysWith: { first, _ in first })
    for volume in try await store.list(.persistentVolume).items {
      guard let size = volume.annotations[VolumeObjects.volumeID].flatMap({ sizes[$0] }) else { continue }
      let text = Quantity.text(size)
      guard volume.json[at: "spec.capacity.storage"]?.text.flatMap(Quantity.bytes) != size else { continue }
      _ = try await store.change(.persistentVolume, namespace: "", name: volume.name) {
        var new = $0
        new.json[at: "spec.capacity.storage"] = .string(text)
        return new
      }
      try await follow(claimOf: volume, text)
    }
  }

  private func follow(claimOf volume: KubeObject, _ capacity: String) async throws(StatusError) {
    guard let reference = volume.spec["claimRef"], let name = reference["name"]?.string,
      let namespace = reference["namespace"]?.string
    else { return }
    do throws(StatusError) {
      _ = try await store.change(
        .persistentVolumeClaim, namespace: namespace, name: name
      ) { old in
        guard old.spec["volumeName"]?.string == volume.name else { return old }
        var new = old
        new.json[at: "status.capacity.storage"] = .string(capacity)
        return new
      }
    } catch { if error.code != 404 { throw error } }
  }
}
