import APIModel

extension ResourceKind {
  /// core/v1 PersistentVolume: a volume of this node, by `spec.local.path`.
  public static let persistentVolume: ResourceKind = {
    var kind = ResourceKind(
      group: "", version: "v1", kind: "PersistentVolume", plural: "persistentvolumes", namespaced: false, custom: false)
    kind.shortNames = ["pv"]
    kind.hasStatus = true
    kind.columns = persistentVolumeColumns
    kind.prepare = { object in
      if object.spec["persistentVolumeReclaimPolicy"] == nil {
        object.json[at: "spec.persistentVolumeReclaimPolicy"] = "Retain"
      }
      if object.spec["volumeMode"] == nil { object.json[at: "spec.volumeMode"] = "Filesystem" }
      object.json["status"] = ["phase": "Pending"]
    }
    kind.validate = { object, old in
      var causes = quantityCauses(object.json[at: "spec.capacity.storage"], field: "spec.capacity.storage")
      if let path = object.json[at: "spec.local.path"] { causes += pathCauses(path) }
      if let old, old.spec["local"] != object.spec["local"] {
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
    kind.shortNames = ["pvc"]
    kind.hasStatus = true
    kind.columns = persistentVolumeClaimColumns
    kind.prepare = { object in
      if object.spec["volumeMode"] == nil { object.json[at: "spec.volumeMode"] = "Filesystem" }
      object.json["status"] = ["phase": "Pending"]
    }
    kind.validate = { object, old in
      var causes = quantityCauses(
        object.json[at: "spec.resources.requests.storage"], field: "spec.resources.requests.storage")
      if let old, let name = old.spec["volumeName"]?.string, !name.isEmpty, object.spec["volumeName"]?.string != name {
        causes.append(
          StatusError.Cause(
            reason: "FieldValueForbidden",
            message: "Forbidden: spec is immutable after creation except resources.requests for bound claims",
            field: "spec"))
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

  private static func modes(_ object: KubeObject) -> JSONValue {
    let short = ["ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"]
    let modes = object.spec["accessModes"]?.array?.compactMap(\.string) ?? []
    return .string(modes.map { short[$0] ?? $0 }.joined(separator: ","))
  }

  private static func phase(_ object: KubeObject) -> JSONValue {
    .string(object.isDeleting ? "Terminating" : object.status["phase"]?.string ?? "")
  }

  private static var persistentVolumeColumns: [Column] {
    [
      .name,
      Column("Capacity") { object, _ in .string(object.json[at: "spec.capacity.storage"]?.text ?? "") },
      Column("Access Modes") { object, _ in modes(object) },
      Column("Reclaim Policy") { object, _ in .string(object.spec["persistentVolumeReclaimPolicy"]?.string ?? "") },
      Column("Status") { object, _ in phase(object) },
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
      Column("Status") { object, _ in phase(object) },
      Column("Volume") { object, _ in .string(object.spec["volumeName"]?.string ?? "") },
      Column("Capacity") { object, _ in .string(object.json[at: "status.capacity.storage"]?.text ?? "") },
      Column("Access Modes") { object, _ in modes(object) },
      Column("StorageClass") { object, _ in .string(object.spec["storageClassName"]?.string ?? "") },
      Column("VolumeAttributesClass") { _, _ in "<unset>" },
      .age,
      Column("VolumeMode", priority: 1) { object, _ in .string(object.spec["volumeMode"]?.string ?? "") },
    ]
  }
}
