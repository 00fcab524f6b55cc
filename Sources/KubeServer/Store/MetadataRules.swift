import APIModel
import KubeModel

/// What labels, annotations and owner references may be.
enum MetadataRules {
  private static let maximumAnnotations = 256 << 10

  /// What is wrong with the metadata of an object. What it had before is not held against it.
  static func causes(_ object: KubeObject, old: KubeObject?) -> [StatusError.Cause] {
    var causes: [StatusError.Cause] = []
    func changed(_ key: String) -> Bool { object.metadata[key] != old?.metadata[key] }
    if changed("labels") { causes += labels(object.labels) }
    if changed("annotations") { causes += annotations(object.annotations) }
    if changed("ownerReferences") { causes += owners(object.metadata["ownerReferences"]?.array ?? []) }
    if changed("finalizers") {
      causes += object.finalizers.filter { !isQualifiedName($0) }.map { invalid("metadata.finalizers", $0, nameText) }
    }
    return Array(causes.prefix(16))
  }

  private static func labels(_ labels: [String: String]) -> [StatusError.Cause] {
    labels.sorted { $0.key < $1.key }.flatMap { key, value -> [StatusError.Cause] in
      var causes: [StatusError.Cause] = []
      if !isQualifiedName(key) { causes.append(invalid("metadata.labels", key, nameText)) }
      if !value.isEmpty, !isNamePart(value) { causes.append(invalid("metadata.labels", value, valueText)) }
      return causes
    }
  }

  private static func annotations(_ annotations: [String: String]) -> [StatusError.Cause] {
    let size = annotations.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
    guard size <= maximumAnnotations else {
      return [
        StatusError.Cause(
          reason: "FieldValueTooLong", message: "Too long: may not be more than \(maximumAnnotations) bytes",
          field: "metadata.annotations")
      ]
    }
    // Keys may be in upper case here, unlike those of labels.
    return annotations.keys.sorted().filter { !isQualifiedName($0.lowercased()) }.map {
      invalid("metadata.annotations", $0, nameText)
    }
  }

  private static func owners(_ owners: [JSONValue]) -> [StatusError.Cause] {
    var causes: [StatusError.Cause] = []
    for owner in owners {
      for key in ["apiVersion", "kind", "name", "uid"] where (owner[key]?.string ?? "").isEmpty {
        causes.append(invalid("metadata.ownerReferences.\(key)", "", "must not be empty"))
      }
    }
    if owners.filter({ $0["controller"]?.bool == true }).count > 1 {
      causes.append(
        StatusError.Cause(
          reason: "FieldValueInvalid",
          message: "Invalid value: Only one reference can have Controller set to true",
          field: "metadata.ownerReferences"))
    }
    return causes
  }

  /// `name` or `prefix/name`.
  static func isQualifiedName(_ text: String) -> Bool {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    switch parts.count {
    case 1: return isNamePart(text)
    case 2: return ResourceKind.isSubdomain(String(parts[0])) && isNamePart(String(parts[1]))
    default: return false
    }
  }

  private static func isNamePart(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    func isAlphanumeric(_ byte: UInt8) -> Bool {
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
    guard let first = bytes.first, let last = bytes.last, bytes.count <= 63 else { return false }
    return isAlphanumeric(first) && isAlphanumeric(last)
      && bytes.allSatisfy { isAlphanumeric($0) || $0 == 0x2D || $0 == 0x5F || $0 == 0x2E }
  }

  private static let nameText =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    + "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    + "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
  private static let valueText =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    + "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    + "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

  private static func invalid(_ field: String, _ value: String, _ text: String) -> StatusError.Cause {
    StatusError.Cause(
      reason: "FieldValueInvalid", message: "Invalid value: \"\(value.prefix(256))\": \(text)", field: field)
  }
}
