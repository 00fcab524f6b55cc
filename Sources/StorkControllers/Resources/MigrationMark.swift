import APIModel
import KubeModel

/// Labels and annotations on objects that travelled with a Migration.
enum MigrationMark {
  private static let prefix = Stork.group + "/"
  /// `"true"`: an annotation of every migrated object, a label of those whose replicas were set to 0.
  static let migrated = prefix + "migrated"
  static let migrationName = prefix + "migrationName"
  static let migrationNamespace = prefix + "migrationNamespace"
  /// When the object was prepared, `YYYY-MM-DD-HHMMSS` in UTC.
  static let migrationTime = prefix + "migrationTime"
  /// Names what was prepared; opaque, compared with itself only.
  static let hash = prefix + "resource-hash"
  /// Replicas to start with, in both spellings in use; the first one wins when they differ.
  static let replicas = [prefix + "migrationReplicas", "stork.openstorage.org/migrationReplicas"]
  static let reclaimPolicy = prefix + "reclaimPolicy"
  static let storageClass = prefix + "current-storage-class-name"
  /// Collected although another object owns it.
  static let skipOwnerCheck = prefix + "skip-owner-ref-check"
  /// A Service whose addresses travel as they are.
  static let skipModify = prefix + "skip-modify-resource"
  /// Never collected; the old spelling of ``Stork/skipResource``.
  static let oldSkipResource = prefix + "skipresource"
  /// A MigrationSchedule that another cluster's schedule keeps here.
  static let staticCopy = prefix + "static-copy"

  /// Cluster id of the agent that an object came from: only that one may change or purge it. Set by the receiver, from
  /// the identity that TLS has proven, and never taken from what a peer sends.
  static let origin = "repl-agent/migrated-from"
  /// A volume that is not live here: nothing may write into it until it is promoted.
  static let standby = "repl-agent/standby"

  /// What one cluster says of its own objects and no other one is told.
  private static let local = [
    origin, standby, VolumeObjects.volumeID, ScheduleStatus.settledKey, "pv.kubernetes.io/bind-completed",
  ]

  /// Annotations that may travel: without those of this cluster and of an earlier migration.
  static func travelling(_ annotations: [String: String]) -> [String: String] {
    let own =
      local + replicas + [
        migrated, migrationName, migrationNamespace, migrationTime, hash, reclaimPolicy, storageClass,
      ]
    return withoutRancher(annotations).filter { !own.contains($0.key) }
  }

  /// Labels that may travel.
  static func travelling(labels: [String: String]) -> [String: String] {
    withoutRancher(labels).filter { $0.key != migrated }
  }

  /// Rancher's own marks name projects that the other cluster does not have.
  private static func withoutRancher(_ map: [String: String]) -> [String: String] {
    map.filter { !$0.key.contains("cattle.io") }
  }
}

extension KubeObject {
  /// Without status and without metadata but name and namespace: the rest is of the cluster an object is in.
  var withoutIdentity: KubeObject {
    var result = self
    result.json["status"] = nil
    var metadata: [String: JSONValue] = ["name": .string(name)]
    if !namespace.isEmpty { metadata["namespace"] = .string(namespace) }
    result.json["metadata"] = .object(metadata)
    return result
  }

  /// Replaces annotations (or labels); an empty map leaves none.
  mutating func setMap(_ key: String, _ map: [String: String]) {
    self[metadata: key] = map.isEmpty ? nil : .object(map.mapValues(JSONValue.string))
  }
}
