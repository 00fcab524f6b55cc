import APIModel
import ReplModel
import AgentService

/// Recovery points of the engine as API objects. Pure.
enum RecoveryPointObjects {
  /// The object of a point of the volume called `volume`, without version and lag.
  static func object(_ point: RecoveryPointReport, of volume: PointKey) -> KubeObject {
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

  /// The object with its lag: how old the data is now. A point that was taken in the future has none: a clock was set.
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

  /// Changes that lead from one set of objects to another, numbered from `version`; the new objects carry theirs.
  static func changes(
    from old: [PointKey: KubeObject], to wanted: [PointKey: KubeObject], version: Int64
  ) -> (objects: [PointKey: KubeObject], changes: [StoreChange]) {
    var version = version
    var objects: [PointKey: KubeObject] = [:]
    var changes: [StoreChange] = []
    func change(_ action: StoreChange.Action, _ object: KubeObject, _ before: KubeObject?) -> KubeObject {
      version += 1
      var object = object
      object[metadata: "resourceVersion"] = .string(String(version))
      let resource = ResourceKind.recoveryPoint.resource
      changes.append(
        StoreChange(action: action, resource: resource, object: object, old: before, version: version, size: 2_048))
      return object
    }
    for (key, before) in old.sorted(by: { $0.key < $1.key }) where wanted[key] == nil {
      _ = change(.deleted, before, before)
    }
    for (key, object) in wanted.sorted(by: { $0.key < $1.key }) {
      var same = object
      same[metadata: "resourceVersion"] = old[key]?.metadata["resourceVersion"]
      objects[key] = same == old[key] ? same : change(old[key] == nil ? .added : .modified, object, old[key])
    }
    return (objects, changes)
  }
}

/// Namespace and name of an object; in the order of lists.
struct PointKey: Hashable, Comparable, Sendable {
  var namespace: String
  var name: String

  init(_ object: KubeObject) { (namespace, name) = (object.namespace, object.name) }

  init(_ namespace: String, _ name: String) { (self.namespace, self.name) = (namespace, name) }

  static func < (left: Self, right: Self) -> Bool {
    (left.namespace, left.name) < (right.namespace, right.name)
  }
}
