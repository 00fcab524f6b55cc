import APIModel

/// RFC 7396, and the strategic merge of built-in kinds: keyed lists are merged, directives are obeyed.
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

  /// Lists that merge by a key, by dotted path. Finalizers merge as a set.
  private static let mergeKeys = [
    "metadata.ownerReferences": "uid", "status.conditions": "type", "status.addresses": "type", "spec.ports": "port",
  ]

  /// Applies a strategic merge patch.
  static func applyStrategic(_ patch: JSONValue, to value: JSONValue, path: String = "") -> JSONValue {
    guard let changes = patch.object else { return patch }
    if changes["$patch"]?.string == "replace" { return .object(changes.filter { $0.key != "$patch" }) }
    var fields = value.object ?? [:]
    for (key, change) in changes where !key.hasPrefix("$") {
      let child = path.isEmpty ? key : "\(path).\(key)"
      if change.isNull || change["$patch"]?.string == "delete" {
        fields[key] = nil
      } else if let items = change.array {
        fields[key] = .array(mergeList(items, into: fields[key]?.array ?? [], path: child))
      } else {
        fields[key] = applyStrategic(change, to: fields[key] ?? .null, path: child)
      }
    }
    let deletion = "$deleteFromPrimitiveList/"
    for (key, change) in changes where key.hasPrefix(deletion) {
      let name = String(key.dropFirst(deletion.count))
      let gone = Set(change.array ?? [])
      fields[name] = fields[name]?.array.map { list in .array(list.filter { !gone.contains($0) }) }
    }
    return .object(fields)
  }

  private static func mergeList(_ items: [JSONValue], into old: [JSONValue], path: String) -> [JSONValue] {
    if path == "metadata.finalizers" { return items.filter { !old.contains($0) } + old }
    guard let key = mergeKeys[path] else { return items.filter { $0["$patch"] == nil } }
    if items.contains(where: { $0["$patch"]?.string == "replace" }) {
      return items.filter { $0["$patch"] == nil }
    }
    var result = old
    var added: [JSONValue] = []
    for item in items {
      let position = result.firstIndex { $0[key] == item[key] }
      if item["$patch"]?.string == "delete" {
        if let position { result.remove(at: position) }
      } else if let position {
        result[position] = applyStrategic(item, to: result[position], path: "\(path)[]")
      } else {
        added.append(item)
      }
    }
    return added + result
  }
}
