import APIModel
import KubeModel

/// The Migration that a trigger asks for. Pure.
enum ScheduledMigration {
  /// On a Migration: the schedule that made it.
  static let scheduleName = "stork.libopenstorage.org/migration-schedule-name"

  private static let nameLimit = 253

  /// `{schedule}-{type}-{YYYY-MM-DD-HHMMSS}` in UTC, the schedule's part shortened to what a name may have.
  static func name(schedule: String, type: PolicyType, at seconds: Int64) -> String {
    let digits = Timestamp.text(seconds).filter { $0 != ":" && $0 != "Z" }
    let time = digits.split(separator: "T").joined(separator: "-")
    let suffix = "-\(type.rawValue.lowercased())-\(time)"
    var prefix = schedule.prefix(nameLimit - suffix.utf8.count)
    // A label of a name must not end in a hyphen, nor be empty.
    while prefix.count < schedule.count, let last = prefix.last, last == "." || last == "-" { prefix.removeLast() }
    return prefix + suffix
  }

  /// The object of an item: spec and annotations of the schedule, which owns it.
  static func object(_ schedule: KubeObject, name: String) -> KubeObject {
    var migration = ResourceKind.migration.object(namespace: schedule.namespace, name: name)
    var annotations = schedule.metadata["annotations"]?.object ?? [:]
    annotations[scheduleName] = .string(schedule.name)
    annotations[ScheduleStatus.settledKey] = nil
    migration[metadata: "annotations"] = .object(annotations)
    migration[metadata: "ownerReferences"] = [
      [
        "apiVersion": .string(ResourceKind.migrationSchedule.apiVersion), "kind": "MigrationSchedule",
        "name": .string(schedule.name), "uid": .string(schedule.uid),
      ]
    ]
    migration.json["spec"] = schedule.json[at: "spec.template.spec"] ?? .object([:])
    return migration
  }

  static func isOwned(_ object: KubeObject, by schedule: KubeObject) -> Bool {
    (object.metadata["ownerReferences"]?.array ?? []).contains { $0["uid"]?.string == schedule.uid }
  }

  /// What a typed client writes for fields that were left out: people see them in `kubectl describe`.
  static let templateZeros: [String: JSONValue] = [
    "clusterPair": "", "adminClusterPair": "", "preExecRule": "", "postExecRule": "", "namespaces": .null,
    "namespaceSelectors": .null, "includeResources": .null, "includeVolumes": .null, "startApplications": .null,
    "purgeDeletedResources": .null, "skipServiceUpdate": .null, "includeNetworkPolicyWithCIDR": .null,
    "selectors": .null, "excludeSelectors": .null, "includeOptionalResourceTypes": .null,
    "skipDeletedNamespaces": .null, "transformSpecs": .null, "ignoreOwnerReferencesCheck": .null,
    "excludeResourceTypes": .null,
  ]

  /// A schedule with its finalizer, the fields that were left out and a status.
  static func prepared(_ old: KubeObject) -> KubeObject {
    guard !old.isDeleting else { return old }
    var new = old
    if !old.finalizers.contains(Stork.finalizer) {
      new[metadata: "finalizers"] = .array((old.finalizers + [Stork.finalizer]).map(JSONValue.string))
    }
    for key in ["suspend", "autoSuspend"] where old.spec[key] ?? .null == .null { new.json[at: "spec.\(key)"] = false }
    if old.spec["schedulePolicyName"] ?? .null == .null { new.json[at: "spec.schedulePolicyName"] = "" }
    let template = old.json[at: "spec.template.spec"]?.object ?? [:]
    new.json[at: "spec.template.spec"] = .object(templateZeros.merging(template) { _, given in given })
    if old.json[at: "status.items"] == nil { ScheduleStatus(old).write(to: &new) }
    return new
  }
}
