import APIModel

/// Fields that may not change once they are set.
enum Immutable {
  /// One cause for each path whose value differs.
  static func causes(_ paths: [String], _ object: KubeObject, _ old: KubeObject?) -> [StatusError.Cause] {
    guard let old else { return [] }
    return paths.filter { object.json[at: $0] != old.json[at: $0] }.map { path in
      let value = object.json[at: path] ?? .null
      return StatusError.Cause(
        reason: "FieldValueInvalid", message: "Invalid value: \(value.compactText): field is immutable", field: path)
    }
  }

  /// As above, for paths that may be set once.
  static func causesOnceSet(_ paths: [String], _ object: KubeObject, _ old: KubeObject?) -> [StatusError.Cause] {
    causes(paths.filter { !(old?.json[at: $0]?.text ?? "").isEmpty }, object, old)
  }

  /// Data of a Secret or ConfigMap that says it is immutable. The data itself is not repeated.
  static func frozenData(_ object: KubeObject, _ old: KubeObject?) -> [StatusError.Cause] {
    guard let old, old.json["immutable"]?.bool == true else { return [] }
    return ["data", "binaryData", "immutable"].filter { object.json[$0] != old.json[$0] }.map { field in
      StatusError.Cause(
        reason: "FieldValueForbidden", message: "Forbidden: field is immutable when `immutable` is set", field: field)
    }
  }
}
