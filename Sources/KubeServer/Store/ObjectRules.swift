import APIModel
import KubeModel

/// What a server does to an object between what a client sends and what is stored. Pure.
struct ObjectRules {
  let kind: ResourceKind

  private static let metadataKeys: Set<String> = [
    "name", "generateName", "namespace", "labels", "annotations", "finalizers", "ownerReferences", "uid",
    "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
  ]

  /// A new object as it will be stored, still without a version.
  ///
  /// - Parameter suffix: ends the name when the object has only the beginning of one.
  func created(_ object: KubeObject, uid: String, suffix: () -> String, now: Int64) throws(StatusError) -> KubeObject {
    if !object.resourceVersion.isEmpty {
      throw StatusError(500, "InternalError", "resourceVersion should not be set on objects to be created")
    }
    try ObjectLimits.check(object, old: nil, part: .main)
    try check(ObjectLimits.causes(object), name: object.name)
    var result = kind.converted(try normalized(object))
    try check(kind.typeCauses(result, old: nil), name: result.name)
    if !kind.namespaced { result[metadata: "namespace"] = nil }
    if result.name.isEmpty, let prefix = result.metadata["generateName"]?.string, !prefix.isEmpty {
      result[metadata: "name"] = .string(String(prefix.prefix(58)) + suffix())
    }
    if result.name.isEmpty {
      throw kind.invalid(
        "",
        [
          StatusError.Cause(
            reason: "FieldValueRequired", message: "Required value: name or generateName is required",
            field: "metadata.name")
        ])
    }
    try kind.checkName(result.name)
    if kind.hasStatus { result.json["status"] = nil }
    kind.defaults(&result)
    kind.prepare(&result)
    result[metadata: "uid"] = .string(uid)
    result[metadata: "creationTimestamp"] = .string(Timestamp.text(now))
    result[metadata: "generation"] = kind.custom || kind.countsGenerations ? 1 : nil
    result[metadata: "deletionTimestamp"] = nil
    result[metadata: "deletionGracePeriodSeconds"] = nil
    try check(MetadataRules.causes(result, old: nil) + kind.validate(result, nil), name: result.name)
    return result
  }

  /// A changed object as it will be stored: equal to `old` when nothing changes. Still with the old version.
  func updated(_ wanted: KubeObject, old: KubeObject, part: ObjectPart) throws(StatusError) -> KubeObject {
    try checkIdentity(wanted, old: old)
    try ObjectLimits.check(wanted, old: old, part: part)
    try check(ObjectLimits.causes(wanted), name: old.name)
    var result = kind.converted(try normalized(wanted))
    if part == .status { result = statusOnly(result, old: old) }
    if part == .main, kind.hasStatus { result.json["status"] = old.json["status"] }
    for key in [
      "uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds",
      "resourceVersion", "generateName", "namespace", "name",
    ] { result[metadata: key] = old.metadata[key] }
    try check(kind.typeCauses(result, old: old), name: old.name)
    kind.defaults(&result)
    guard result != old else { return old }
    if old.isDeleting {
      let added = result.finalizers.filter { !old.finalizers.contains($0) }
      if !added.isEmpty {
        throw kind.invalid(old.name, [Self.newFinalizers(added)])
      }
    }
    try check(MetadataRules.causes(result, old: old) + kind.validate(result, old), name: old.name)
    if counts(result, old) {
      result[metadata: "generation"] = .integer(old.generation + 1)
    }
    return result
  }

  /// An object marked as being deleted, with the finalizers its dependants ask for.
  func marked(_ object: KubeObject, finalizers: [String], now: Int64) -> KubeObject {
    var result = object
    result[metadata: "finalizers"] = finalizers.isEmpty ? nil : .array(finalizers.map(JSONValue.string))
    guard !object.isDeleting else { return result }
    result[metadata: "deletionTimestamp"] = .string(Timestamp.text(now))
    if kind.resource == ResourceKind.namespace.resource {
      result.json[at: "status.phase"] = "Terminating"
    } else {
      result[metadata: "deletionGracePeriodSeconds"] = 0
    }
    if kind.custom || kind.countsGenerations { result[metadata: "generation"] = .integer(object.generation + 1) }
    return result
  }

  private func statusOnly(_ wanted: KubeObject, old: KubeObject) -> KubeObject {
    var result = old
    result.json["status"] = wanted.json["status"]
    result[metadata: "labels"] = wanted.metadata["labels"]
    result[metadata: "annotations"] = wanted.metadata["annotations"]
    return result
  }

  /// Whether a change moves the generation on: any outside metadata, or of built-in kinds any of the spec.
  private func counts(_ object: KubeObject, _ old: KubeObject) -> Bool {
    if kind.custom { return withoutMetadata(object) != withoutMetadata(old) }
    return kind.countsGenerations && object.json["spec"] != old.json["spec"]
  }

  private func withoutMetadata(_ object: KubeObject) -> JSONValue {
    var json = object.json
    json["metadata"] = nil
    return json
  }

  private func checkIdentity(_ wanted: KubeObject, old: KubeObject) throws(StatusError) {
    if wanted.kind != kind.kind, !(wanted.kind.isEmpty && !kind.custom) {
      throw kind.invalid(old.name, [Self.immutable("kind", "\"\(wanted.kind)\": must be \(kind.kind)")])
    }
    if wanted.apiVersion != kind.apiVersion, !(wanted.apiVersion.isEmpty && !kind.custom) {
      throw StatusError(
        400, "BadRequest",
        "the API version in the data (\(wanted.apiVersion)) does not match the expected API version (\(kind.apiVersion))"
      )
    }
    if !wanted.name.isEmpty, wanted.name != old.name {
      throw StatusError(
        400, "BadRequest",
        "the name of the object (\(wanted.name)) does not match the name on the URL (\(old.name))")
    }
    if kind.namespaced, !wanted.namespace.isEmpty, wanted.namespace != old.namespace {
      throw StatusError(
        400, "BadRequest",
        "the namespace of the object (\(wanted.namespace)) does not match the namespace on the URL"
          + " (\(old.namespace))")
    }
    if !wanted.uid.isEmpty, wanted.uid != old.uid {
      throw StatusError(
        409, "Conflict",
        "Operation cannot be fulfilled on \(kind.resource) \"\(old.name)\": Precondition failed: UID in precondition: "
          + "\(wanted.uid), UID in object meta: \(old.uid)", name: old.name, group: kind.group, kind: kind.plural)
    }
    if !wanted.resourceVersion.isEmpty, wanted.resourceVersion != old.resourceVersion { throw kind.conflict(old.name) }
  }

  /// Kind and version filled in, unknown and empty metadata dropped. What is empty and of a wrong type stays, to be refused
  /// as such: it does not mean "none".
  private func normalized(_ object: KubeObject) throws(StatusError) -> KubeObject {
    var result = object
    result.json["kind"] = .string(kind.kind)
    result.json["apiVersion"] = .string(kind.apiVersion)
    var metadata = object.metadata.object ?? [:]
    for (key, value) in metadata {
      if !Self.metadataKeys.contains(key) || Self.isNothing(value, key) { metadata[key] = nil }
    }
    for key in ["name", "namespace", "generateName", "uid", "resourceVersion"] {
      guard let value = metadata[key], value.string == nil else { continue }
      throw StatusError(
        400, "BadRequest",
        "\(kind.kind) in version \"\(kind.version)\" cannot be handled as a \(kind.kind): json: cannot unmarshal into "
          + "Go struct field ObjectMeta.\(key) of type string")
    }
    result.json["metadata"] = .object(metadata)
    return result
  }

  /// Whether a value of metadata says no more than one that is left out.
  private static func isNothing(_ value: JSONValue, _ key: String) -> Bool {
    guard [.object([:]), .array([]), .string("")].contains(value) else { return value.isNull }
    return Schema.metadata.child(key).map { TypeCheck.faults(value, $0).isEmpty } ?? true
  }

  /// Refuses a list of owners that is of a wrong type: it would be taken for one that a client does not know of.
  func checkOwners(_ sent: JSONValue?, name: String) throws(StatusError) {
    guard let sent, let schema = Schema.metadata.child("managedFields") else { return }
    try check(TypeCheck.faults(sent, schema, at: "metadata.managedFields").map(\.statusCause), name: name)
  }

  private func check(_ causes: [StatusError.Cause], name: String) throws(StatusError) {
    if !causes.isEmpty { throw kind.invalid(name, causes) }
  }

  private static func immutable(_ field: String, _ text: String) -> StatusError.Cause {
    StatusError.Cause(reason: "FieldValueInvalid", message: "Invalid value: \(text)", field: field)
  }

  private static func newFinalizers(_ added: [String]) -> StatusError.Cause {
    let list = added.map { "\"\($0)\"" }.joined(separator: ", ")
    return StatusError.Cause(
      reason: "FieldValueForbidden",
      message: "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
        + "[]string{\(list)}", field: "metadata.finalizers")
  }
}
