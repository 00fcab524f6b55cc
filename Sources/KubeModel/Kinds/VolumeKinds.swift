import APIModel

extension ResourceKind {
  /// core/v1 PersistentVolume: a volume of this node, by `spec.local.path`.
  public static let persistentVolume: ResourceKind = {
    var kind = ResourceKind(
      group: "", version: "v1", kind: "PersistentVolume", plural: "persistentvolumes", namespaced: false, custom: false)
    kind.description = "A volume of this node."
    kind.fields = Schema.persistentVolume
    kind.shortNames = ["pv"]
    kind.hasStatus = true
    kind.columns = persistentVolumeColumns
    kind.defaults = { object in
      object.setDefault("spec.persistentVolumeReclaimPolicy", "Retain")
      object.setDefault("spec.volumeMode", "Filesystem")
    }
    kind.prepare = { object in object.json["status"] = ["phase": "Pending"] }
    kind.validate = { object, old in
      var causes = quantityCauses(object.json[at: "spec.capacity.storage"], field: "spec.capacity.storage")
      if let path = object.json[at: "spec.local.path"] { causes += pathCauses(path) }
      if let old, ["local", "csi", "nfs", "hostPath"].contains(where: { old.spec[$0] != object.spec[$0] }) {
        causes.append(
          StatusError.Cause(
            reason: "FieldValueForbidden",
            message: "Forbidden: spec.persistentvolumesource is immutable after creation",
            field: "spec.persistentvolumesource"))
      }
      return causes
    }
    return kind
  }()

  /// core/v1 PersistentVolumeClaim: the name of a volume in a namespace.
  public static let persistentVolumeClaim: ResourceKind = {
    var kind = ResourceKind(
      group: "", version: "v1", kind: "PersistentVolumeClaim", plural: "persistentvolumeclaims", namespaced: true,
      custom: false)
    kind.description = "The name of a volume in a namespace."
    kind.fields = Schema.persistentVolumeClaim
    kind.shortNames = ["pvc"]
    kind.hasStatus = true
    kind.columns = persistentVolumeClaimColumns
    kind.defaults = { object in object.setDefault("spec.volumeMode", "Filesystem") }
    kind.prepare = { object in object.json["status"] = ["phase": "Pending"] }
    kind.validate = { object, old in
      var causes = quantityCauses(
        object.json[at: "spec.resources.requests.storage"], field: "spec.resources.requests.storage")
      if let old, claimChanged(object, old) {
        causes.append(
          StatusError.Cause(
            reason: "FieldValueForbidden",
            message: "Forbidden: spec is immutable after creation except resources.requests for bound claims",
            field: "spec"))
      }
      let request = "spec.resources.requests.storage"
      if let old, old.status["phase"]?.string == "Bound",
        object.json[at: request]?.text.flatMap(Quantity.bytes) != old.json[at: request]?.text.flatMap(Quantity.bytes)
      {
        causes.append(
          StatusError.Cause(
            reason: "FieldValueForbidden",
            message:
              "Forbidden: the agent does not resize volumes; make the file larger, as with `truncate -s`, and the "
              + "next Migration and the claim's capacity follow",
            field: request))
      }
      return causes
    }
    return kind
  }()

  private static func quantityCauses(_ value: JSONValue?, field: String) -> [StatusError.Cause] {
    guard let value else {
      return [StatusError.Cause(reason: "FieldValueRequired", message: "Required value", field: field)]
    }
    if let text = value.text, let bytes = Quantity.bytes(text), bytes > 0 { return [] }
    return [
      StatusError.Cause(
        reason: "FieldValueInvalid",
        message: "Invalid value: \"\(value.text ?? value.compactText)\": must be a size such as 4Gi, greater than zero",
        field: field)
    ]
  }

  private static func pathCauses(_ value: JSONValue) -> [StatusError.Cause] {
    let path = value.string ?? ""
    guard !path.hasPrefix("/") || path.split(separator: "/").contains("..") else { return [] }
    return [
      StatusError.Cause(
        reason: "FieldValueInvalid",
        message: "Invalid value: \"\(path)\": must be an absolute path without '..'", field: "spec.local.path")
    ]
  }

  /// Whether a claim's spec differs in what was set once.
  private static func claimChanged(_ object: KubeObject, _ old: KubeObject) -> Bool {
    ["accessModes", "selector", "storageClassName", "volumeMode", "volumeName"].contains { key in
      guard let before = old.spec[key], before != "" else { return false }
      return object.spec[key] != before
    }
  }

  private static var persistentVolumeColumns: [Column] {
    [
      .name,
      Column("Capacity") { object, _ in .string(object.json[at: "spec.capacity.storage"]?.text ?? "") },
      Column("Access Modes") { object, _ in Cells.modes(object) },
      Column("Reclaim Policy") { object, _ in .string(object.spec["persistentVolumeReclaimPolicy"]?.string ?? "") },
      Column("Status") { object, _ in Cells.phase(object) },
      Column("Claim") { object, _ in
        guard let claim = object.spec["claimRef"] else { return "" }
        return .string("\(claim["namespace"]?.string ?? "")/\(claim["name"]?.string ?? "")")
      },
      Column("StorageClass") { object, _ in .string(object.spec["storageClassName"]?.string ?? "") },
      Column("VolumeAttributesClass") { _, _ in "<unset>" },
      Column("Reason") { object, _ in .string(object.status["reason"]?.string ?? "") },
      .age,
      Column("VolumeMode", priority: 1) { object, _ in .string(object.spec["volumeMode"]?.string ?? "") },
    ]
  }

  private static var persistentVolumeClaimColumns: [Column] {
    [
      .name,
      Column("Status") { object, _ in Cells.phase(object) },
      Column("Volume") { object, _ in .string(object.spec["volumeName"]?.string ?? "") },
      Column("Capacity") { object, _ in .string(object.json[at: "status.capacity.storage"]?.text ?? "") },
      Column("Access Modes") { object, _ in Cells.modes(object) },
      Column("StorageClass") { object, _ in .string(object.spec["storageClassName"]?.string ?? "") },
      Column("VolumeAttributesClass") { _, _ in "<unset>" },
      .age,
      Column("VolumeMode", priority: 1) { object, _ in .string(object.spec["volumeMode"]?.string ?? "") },
    ]
  }
}
