import APIModel
import AgentService
import KubeModel
import KubeServer
import ReplModel
import StorkControllers

/// Recovery points of the engine as API objects.
enum RecoveryPointObjects {
  /// The kind on a server: nothing is kept, the engine is asked.
  static func computed(_ service: any ReplicationService, clock: @escaping @Sendable () -> Int64) -> ComputedObjects {
    ComputedObjects(
      .recoveryPoint, clock: clock, view: { object, now in withLag(object, now: now) },
      source: { () throws(StatusError) in try await all(service) })
  }

  /// The points of all volumes.
  private static func all(_ service: any ReplicationService) async throws(StatusError) -> [KubeObject] {
    do throws(ReplError) {
      var objects: [KubeObject] = []
      // A name may stand for several volumes; the engine answers with the points of all of them at once.
      let names = Set(try await service.volumes().map { VolumeName(namespace: $0.namespace, name: $0.name) })
      for volume in names {
        do throws(ReplError) {
          let points = try await service.recoveryPoints(namespace: volume.namespace, name: volume.name)
          objects += points.map { object($0, of: volume) }
        } catch {
          // Gone since the volumes were listed, or one that has no points.
          if error.kind != .notFound { throw error }
        }
      }
      return objects
    } catch { throw StatusError(error) }
  }

  /// The object of a point of a volume, without version and lag. Pure.
  static func object(_ point: RecoveryPointReport, of volume: VolumeName) -> KubeObject {
    var object = ResourceKind.recoveryPoint.object(namespace: volume.namespace, name: point.id)
    object[metadata: "uid"] = .string(uid(point.id))
    object[metadata: "creationTimestamp"] = .string(point.sealedAt.isEmpty ? point.takenAt : point.sealedAt)
    object[metadata: "generation"] = 1
    object.json["spec"] = [
      "volume": .string(volume.name), "volumeID": .string(point.volumeID),
      "sourceCluster": .string(point.sourceCluster), "generation": .count(point.generation),
      "takenAt": time(point.takenAt),
    ]
    object.json["status"] = [
      "state": .string(point.state), "sealedAt": time(point.sealedAt), "sizeBytes": .count(point.sizeBytes),
      "seal": ["fingerprint": .string(point.fingerprint)], "group": .string(point.group),
      "consistency": .string(point.consistency), "proof": .string(point.proof), "provenAt": time(point.provenAt),
      "path": .string(point.path),
    ]
    return object
  }

  /// The object with its lag: how old the data is now. A point that was taken in the future has none: a clock was set. Pure.
  static func withLag(_ object: KubeObject, now: Int64) -> KubeObject {
    var result = object
    let taken = Timestamp.seconds(object.spec["takenAt"]?.string ?? "")
    result.json[at: "status.lagSeconds"] = taken.flatMap { now - $0 < -5 ? nil : .integer(max(0, now - $0)) }
    return result
  }

  private static func time(_ text: String) -> JSONValue { text.isEmpty ? .null : .string(text) }

  /// A point's id in the form of a UUID.
  private static func uid(_ id: String) -> String {
    let digits = Array(id)
    guard digits.count == 32 else { return id }
    return [digits[0..<8], digits[8..<12], digits[12..<16], digits[16..<20], digits[20..<32]]
      .map { String($0) }.joined(separator: "-")
  }
}

/// What people call a volume.
struct VolumeName: Hashable, Sendable {
  var namespace: String
  var name: String
}
