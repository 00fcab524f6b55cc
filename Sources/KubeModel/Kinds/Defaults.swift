public import APIModel
import FoundationEssentials

extension KubeObject {
  /// Sets what is missing or null at a dotted path.
  public mutating func setDefault(_ path: String, _ value: JSONValue) {
    if json[at: path] == nil || json[at: path] == .null { json[at: path] = value }
  }
}

/// What the server fills in on every write, so that clearing such a field sets it again.
enum Defaults {
  /// Texts of a Secret go into its data.
  static func secret(_ object: inout KubeObject) {
    object.setDefault("type", "Opaque")
    guard let texts = object.json["stringData"]?.object else {
      object.json["stringData"] = nil
      return
    }
    var data = object.json["data"]?.object ?? [:]
    for (key, value) in texts {
      data[key] = .string(Data((value.string ?? "").utf8).base64EncodedString())
    }
    object.json["data"] = data.isEmpty ? nil : .object(data)
    object.json["stringData"] = nil
  }

  static func service(_ object: inout KubeObject) {
    let external = object.spec["type"]?.string == "ExternalName"
    object.setDefault("spec.type", "ClusterIP")
    object.setDefault("spec.sessionAffinity", "None")
    guard !external else { return }
    object.setDefault("spec.internalTrafficPolicy", "Cluster")
    object.setDefault("spec.ipFamilies", ["IPv4"])
    object.setDefault("spec.ipFamilyPolicy", "SingleStack")
    change(&object.json, ["spec", "ports"]) { port in
      setDefault(&port, "protocol", "TCP")
      if let number = port["port"] { setDefault(&port, "targetPort", number) }
    }
  }

  static func deployment(_ object: inout KubeObject) {
    object.setDefault("spec.replicas", 1)
    object.setDefault("spec.strategy.type", "RollingUpdate")
    if object.json[at: "spec.strategy.type"] == "RollingUpdate" {
      object.setDefault("spec.strategy.rollingUpdate.maxSurge", "25%")
      object.setDefault("spec.strategy.rollingUpdate.maxUnavailable", "25%")
    }
    object.setDefault("spec.revisionHistoryLimit", 10)
    object.setDefault("spec.progressDeadlineSeconds", 600)
    pod(&object, "spec.template", restart: "Always")
  }

  static func statefulSet(_ object: inout KubeObject) {
    object.setDefault("spec.replicas", 1)
    object.setDefault("spec.podManagementPolicy", "OrderedReady")
    object.setDefault("spec.updateStrategy.type", "RollingUpdate")
    if object.json[at: "spec.updateStrategy.type"] == "RollingUpdate" {
      object.setDefault("spec.updateStrategy.rollingUpdate.partition", 0)
    }
    object.setDefault("spec.revisionHistoryLimit", 10)
    object.setDefault("spec.persistentVolumeClaimRetentionPolicy.whenDeleted", "Retain")
    object.setDefault("spec.persistentVolumeClaimRetentionPolicy.whenScaled", "Retain")
    change(&object.json, ["spec", "volumeClaimTemplates"]) { template in
      setDefault(&template, "kind", "PersistentVolumeClaim")
      setDefault(&template, "apiVersion", "v1")
      if template[at: "spec.volumeMode"] == nil { template[at: "spec.volumeMode"] = "Filesystem" }
      if template[at: "status.phase"] == nil { template[at: "status.phase"] = "Pending" }
    }
    pod(&object, "spec.template", restart: "Always")
  }

  static func job(_ object: inout KubeObject) { job(&object, "spec", template: "spec.template") }

  static func cronJob(_ object: inout KubeObject) {
    object.setDefault("spec.concurrencyPolicy", "Allow")
    object.setDefault("spec.suspend", false)
    object.setDefault("spec.successfulJobsHistoryLimit", 3)
    object.setDefault("spec.failedJobsHistoryLimit", 1)
    pod(&object, "spec.jobTemplate.spec.template", restart: nil)
  }

  private static func job(_ object: inout KubeObject, _ spec: String, template: String) {
    object.setDefault("\(spec).parallelism", 1)
    object.setDefault("\(spec).completions", 1)
    object.setDefault("\(spec).backoffLimit", 6)
    object.setDefault("\(spec).completionMode", "NonIndexed")
    object.setDefault("\(spec).suspend", false)
    object.setDefault("\(spec).podReplacementPolicy", "TerminatingOrFailed")
    pod(&object, template, restart: nil)
  }
}

// Pods.
extension Defaults {
  /// Defaults of a pod template at a path; jobs must say themselves when they restart.
  private static func pod(_ object: inout KubeObject, _ template: String, restart: String?) {
    let path = "\(template).spec"
    guard object.json[at: path]?.object != nil else { return }
    if let restart { object.setDefault("\(path).restartPolicy", .string(restart)) }
    object.setDefault("\(path).terminationGracePeriodSeconds", 30)
    object.setDefault("\(path).dnsPolicy", "ClusterFirst")
    object.setDefault("\(path).securityContext", [:])
    object.setDefault("\(path).schedulerName", "default-scheduler")
    let steps = path.split(separator: ".").map(String.init)
    for list in ["containers", "initContainers"] { change(&object.json, steps + [list], container) }
  }

  private static func container(_ container: inout JSONValue) {
    setDefault(&container, "resources", [:])
    setDefault(&container, "terminationMessagePath", "/dev/termination-log")
    setDefault(&container, "terminationMessagePolicy", "File")
    let image = container["image"]?.string ?? ""
    let tagged = image.split(separator: "/").last?.contains { $0 == ":" || $0 == "@" } ?? false
    setDefault(
      &container, "imagePullPolicy", !tagged || image.hasSuffix(":latest") ? "Always" : "IfNotPresent")
    change(&container, ["ports"]) { port in setDefault(&port, "protocol", "TCP") }
  }

  private static func setDefault(_ value: inout JSONValue, _ key: String, _ wanted: JSONValue) {
    if value[key] == nil || value[key] == .null { value[key] = wanted }
  }

  /// Changes every object of a list.
  private static func change(_ value: inout JSONValue, _ path: [String], _ body: (inout JSONValue) -> Void) {
    guard var items = value[path: path]?.array else { return }
    for index in items.indices where items[index].object != nil { body(&items[index]) }
    value[path: path] = .array(items)
  }
}
