import APIModel
import KubeModel

/// RFC 7396.
enum MergePatch {
  /// Applies a merge patch: null deletes, objects merge, everything else replaces.
  static func apply(_ patch: JSONValue, to value: JSONValue) -> JSONValue {
    guard let changes = patch.object else { return patch }
    var fields = value.object ?? [:]
    for (key, change) in changes {
      fields[key] = change.isNull ? nil : apply(change, to: fields[key] ?? .null)
    }
    return .object(fields)
  }
}
