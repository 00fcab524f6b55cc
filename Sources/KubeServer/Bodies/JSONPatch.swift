import APIModel
import KubeModel

/// RFC 6902: a list of operations, all or none.
///
/// A patch of some bytes can ask for a great deal: `copy` doubles what is there, and every operation may look at all of
/// it. Size, depth and work are therefore counted operation by operation.
enum JSONPatch {
  private static let maximumOperations = 10_000

  /// Applies a patch document.
  static func apply(_ patch: JSONValue, to value: JSONValue) throws(StatusError) -> JSONValue {
    guard let operations = patch.array else {
      throw StatusError(400, "BadRequest", "error decoding patch: a JSON patch must be an array of operations")
    }
    guard operations.count <= maximumOperations else {
      throw StatusError(
        413, "RequestEntityTooLarge", "The allowed maximum operations in a JSON patch is \(maximumOperations)")
    }
    var (result, budget) = (value, Budget())
    for operation in operations { try apply(operation: operation, to: &result, &budget) }
    return result
  }

  private static let rejected = StatusError(
    422, "Invalid", "the server rejected our request due to an error in our request")

  /// What one patch may cost.
  private struct Budget {
    /// Bytes that copies may add.
    private var copies = ObjectLimits.bytes
    /// Bytes looked at or moved: some seconds' worth.
    private var work = 256 << 20

    mutating func spend(_ bytes: Int) throws(StatusError) {
      work -= bytes
      guard work >= 0 else {
        throw StatusError(413, "RequestEntityTooLarge", "the patch takes too much work: split it")
      }
    }

    mutating func copy(_ value: JSONValue) throws(StatusError) {
      copies -= value.textSize(upTo: copies)
      guard copies >= 0 else {
        throw StatusError(
          413, "RequestEntityTooLarge",
          "Unable to complete the copy, the accumulated size increase of copy exceeds the limit "
            + "\(ObjectLimits.bytes)")
      }
    }

    /// Counts what is looked at to know a value's depth, and refuses what would be too deep at its new place.
    mutating func place(_ value: JSONValue, at path: [String]) throws(StatusError) {
      try spend(value.textSize(upTo: ObjectLimits.bytes))
      guard path.count <= ObjectLimits.depth, !value.isDeeper(than: ObjectLimits.depth - path.count) else {
        throw StatusError(
          422, "Invalid", "the patch nests values deeper than \(ObjectLimits.depth) levels")
      }
    }
  }

  private static func apply(operation: JSONValue, to value: inout JSONValue, _ budget: inout Budget)
    throws(StatusError)
  {
    guard let name = operation["op"]?.string else { throw rejected }
    let path = try pointer(operation["path"])
    switch name {
    case "add", "replace":
      guard let new = operation["value"] else { throw rejected }
      try budget.place(new, at: path)
      try change(&value, path[...], name == "add" ? .add(new) : .replace(new), &budget)
    case "remove": try change(&value, path[...], .remove, &budget)
    case "test":
      let found = read(value, path)
      try budget.spend(found?.textSize(upTo: ObjectLimits.bytes) ?? 0)
      guard found == operation["value"] ?? .null else { throw rejected }
    case "copy", "move":
      let from = try pointer(operation["from"])
      guard let moved = read(value, from) else { throw rejected }
      try budget.place(moved, at: path)
      if name == "move" {
        guard !(path.count > from.count && path.starts(with: from)) else { throw rejected }
        try change(&value, from[...], .remove, &budget)
      } else {
        try budget.copy(moved)
      }
      try change(&value, path[...], .add(moved), &budget)
    default: throw rejected
    }
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

  /// Changes a value in place; it is left in pieces when this throws.
  ///
  /// Depth is that of the value, which is bounded: a step into nothing ends it.
  private static func change(
    _ value: inout JSONValue, _ path: ArraySlice<String>, _ change: Change, _ budget: inout Budget
  ) throws(StatusError) {
    guard let step = path.first else {
      switch change {
      case .add(let new), .replace(let new): value = new
      case .remove: throw rejected
      }
      return
    }
    switch value {
    case .object(var fields):
      // Dropped first, so that the dictionary is unique while it is changed and not copied.
      value = .null
      try self.change(&fields, step, path.dropFirst(), change, &budget)
      value = .object(fields)
    case .array(var items):
      value = .null
      try self.change(&items, step, path.dropFirst(), change, &budget)
      value = .array(items)
    default: throw rejected
    }
  }

  private static func change(
    _ fields: inout [String: JSONValue], _ step: String, _ rest: ArraySlice<String>, _ change: Change,
    _ budget: inout Budget
  ) throws(StatusError) {
    if rest.isEmpty, case .add(let new) = change {
      fields[step] = new
      return
    }
    guard let place = fields.index(forKey: step) else { throw rejected }
    guard rest.isEmpty else { return try self.change(&fields.values[place], rest, change, &budget) }
    if case .replace(let new) = change { fields.values[place] = new } else { fields.remove(at: place) }
  }

  private static func change(
    _ items: inout [JSONValue], _ step: String, _ rest: ArraySlice<String>, _ change: Change, _ budget: inout Budget
  ) throws(StatusError) {
    if rest.isEmpty, case .add(let new) = change {
      guard let index = step == "-" ? items.count : index(step, count: items.count + 1) else { throw rejected }
      try budget.spend((items.count - index) * 8)
      items.insert(new, at: index)
      return
    }
    guard let index = index(step, count: items.count) else { throw rejected }
    guard rest.isEmpty else { return try self.change(&items[index], rest, change, &budget) }
    if case .replace(let new) = change {
      items[index] = new
    } else {
      try budget.spend((items.count - index) * 8)
      items.remove(at: index)
    }
  }

  private static func index(_ step: String, count: Int) -> Int? {
    guard let index = Int(step), index >= 0, index < count, String(index) == step else { return nil }
    return index
  }
}
