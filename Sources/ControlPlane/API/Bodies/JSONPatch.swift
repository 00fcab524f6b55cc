import APIModel

/// RFC 6902: a list of operations, all or none.
enum JSONPatch {
  /// Applies a patch document.
  static func apply(_ patch: JSONValue, to value: JSONValue) throws(StatusError) -> JSONValue {
    guard let operations = patch.array else {
      throw StatusError(400, "BadRequest", "error decoding patch: a JSON patch must be an array of operations")
    }
    guard operations.count <= 10_000 else {
      throw StatusError(413, "RequestEntityTooLarge", "The allowed maximum operations in a JSON patch is 10000")
    }
    var result = value
    for operation in operations { try apply(operation: operation, to: &result) }
    return result
  }

  private static let rejected = StatusError(
    422, "Invalid", "the server rejected our request due to an error in our request")

  private static func apply(operation: JSONValue, to value: inout JSONValue) throws(StatusError) {
    guard let name = operation["op"]?.string else { throw rejected }
    let path = try pointer(operation["path"])
    switch name {
    case "add": try change(&value, path[...], .add(try argument(operation)))
    case "replace": try change(&value, path[...], .replace(try argument(operation)))
    case "remove": try change(&value, path[...], .remove)
    case "test": guard read(value, path) == operation["value"] ?? .null else { throw rejected }
    case "copy", "move":
      let from = try pointer(operation["from"])
      guard let moved = read(value, from) else { throw rejected }
      if name == "move" {
        guard !(path.count > from.count && path.starts(with: from)) else { throw rejected }
        try change(&value, from[...], .remove)
      }
      try change(&value, path[...], .add(moved))
    default: throw rejected
    }
  }

  private static func argument(_ operation: JSONValue) throws(StatusError) -> JSONValue {
    guard let value = operation["value"] else { throw rejected }
    return value
  }

  /// The steps of a JSON pointer.
  private static func pointer(_ value: JSONValue?) throws(StatusError) -> [String] {
    guard let text = value?.string, text.isEmpty || text.hasPrefix("/") else { throw rejected }
    return text.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map { step in
      step.split(separator: "~1", omittingEmptySubsequences: false).map { part in
        part.split(separator: "~0", omittingEmptySubsequences: false).joined(separator: "~")
      }.joined(separator: "/")
    }
  }

  private static func read(_ value: JSONValue, _ path: [String]) -> JSONValue? {
    var current = value
    for step in path {
      switch current {
      case .object(let fields):
        guard let next = fields[step] else { return nil }
        current = next
      case .array(let items):
        guard let index = index(step, count: items.count) else { return nil }
        current = items[index]
      default: return nil
      }
    }
    return current
  }

  private enum Change {
    case add(JSONValue)
    case replace(JSONValue)
    case remove
  }

  private static func change(_ value: inout JSONValue, _ path: ArraySlice<String>, _ change: Change)
    throws(StatusError)
  {
    guard let step = path.first else {
      switch change {
      case .add(let new), .replace(let new): value = new
      case .remove: throw rejected
      }
      return
    }
    let rest = path.dropFirst()
    switch value {
    case .object(var fields):
      if rest.isEmpty {
        switch change {
        case .add(let new): fields[step] = new
        case .replace(let new):
          guard fields.updateValue(new, forKey: step) != nil else { throw rejected }
        case .remove:
          guard fields.removeValue(forKey: step) != nil else { throw rejected }
        }
      } else {
        guard var child = fields[step] else { throw rejected }
        try self.change(&child, rest, change)
        fields[step] = child
      }
      value = .object(fields)
    case .array(var items):
      try self.change(&items, step, rest, change)
      value = .array(items)
    default: throw rejected
    }
  }

  private static func change(
    _ items: inout [JSONValue], _ step: String, _ rest: ArraySlice<String>, _ change: Change
  ) throws(StatusError) {
    if rest.isEmpty, case .add(let new) = change {
      guard let index = step == "-" ? items.count : index(step, count: items.count + 1) else { throw rejected }
      items.insert(new, at: index)
      return
    }
    guard let index = index(step, count: items.count) else { throw rejected }
    guard rest.isEmpty else { return try self.change(&items[index], rest, change) }
    if case .replace(let new) = change { items[index] = new } else { items.remove(at: index) }
  }

  private static func index(_ step: String, count: Int) -> Int? {
    guard let index = Int(step), index >= 0, index < count, String(index) == step else { return nil }
    return index
  }
}
