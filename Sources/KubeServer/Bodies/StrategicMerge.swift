import APIModel
import KubeModel

/// The strategic merge patch of built-in kinds: lists merge by the keys of the schema, directives are obeyed.
enum StrategicMerge {
  private static let patch = "$patch"
  private static let retainKeys = "$retainKeys"
  private static let setOrder = "$setElementOrder/"
  private static let deleteItems = "$deleteFromPrimitiveList/"

  /// Applies a patch. Values the schema does not describe are merged as maps or replaced as lists.
  static func apply(_ patch: JSONValue, to value: JSONValue, schema: Schema?) throws(StatusError) -> JSONValue {
    guard let changes = patch.object else { return patch }
    switch try directive(patch) {
    case "replace": return .object(changes.filter { !$0.key.hasPrefix("$") })
    case "delete": return [:]
    default: break
    }
    var fields = value.object ?? [:]
    for (key, change) in changes where !key.hasPrefix("$") {
      fields[key] = try merged(change, into: fields[key], schema: schema?.child(key))
    }
    for (key, change) in changes where key.hasPrefix(deleteItems) {
      let name = String(key.dropFirst(deleteItems.count))
      let gone = Set(try list(change, key))
      fields[name] = fields[name]?.array.map { list in .array(list.filter { !gone.contains($0) }) }
    }
    for (key, change) in changes where key.hasPrefix(setOrder) {
      let name = String(key.dropFirst(setOrder.count))
      guard let items = fields[name]?.array else { continue }
      let before = value[name]?.array ?? []
      let key = mergeKey(schema?.child(name))
      fields[name] = .array(ordered(items, by: try list(change, key ?? name), before: before, key: key))
    }
    if let kept = changes[retainKeys] {
      let names = Set(try list(kept, retainKeys).compactMap(\.string))
      fields = fields.filter { names.contains($0.key) }
    }
    return .object(fields)
  }

  private static func merged(_ change: JSONValue, into old: JSONValue?, schema: Schema?) throws(StatusError)
    -> JSONValue?
  {
    if change.isNull { return nil }
    if let items = change.array { return .array(try merge(items, into: old?.array ?? [], schema: schema)) }
    guard change.object != nil else { return change }
    if try directive(change) == "delete" { return nil }
    return try apply(change, to: old ?? .null, schema: schema)
  }

  private static func merge(_ items: [JSONValue], into old: [JSONValue], schema: Schema?) throws(StatusError)
    -> [JSONValue]
  {
    guard case .list(let element, let merge)? = schema?.form else { return items }
    switch merge {
    case .atomic: return items
    case .set:
      let present = Set(old)
      return items.filter { !present.contains($0) } + old
    case .keyed(let keys):
      let key = keys.patch
      for item in items where try directive(item) == "replace" { return items.filter { $0[patch] == nil } }
      return try self.merge(items, into: old, key: key, element: element)
    }
  }

  /// New elements come first, unless an order is given.
  private static func merge(
    _ items: [JSONValue], into old: [JSONValue], key: String, element: Schema
  ) throws(StatusError) -> [JSONValue] {
    var result = old.map(Optional.some)
    var places: [JSONValue: Int] = [:]
    for (place, item) in old.enumerated() { if let name = item[key] { places[name] = place } }
    var added: [JSONValue] = []
    for item in items {
      guard let name = item[key], !name.isNull else {
        throw bad("an element does not contain the declared merge key: \(key)")
      }
      let place = places[name]
      if try directive(item) == "delete" {
        if let place { result[place] = nil }
      } else if let place {
        result[place] = try apply(item, to: result[place] ?? .null, schema: element)
      } else {
        added.append(try apply(item, to: .null, schema: element))
      }
    }
    return added + result.compactMap(\.self)
  }

  /// Elements in the order wanted; those it does not name keep their place relative to what followed them before.
  private static func ordered(
    _ items: [JSONValue], by order: [JSONValue], before: [JSONValue], key: String?
  ) -> [JSONValue] {
    func name(_ item: JSONValue) -> JSONValue { key.flatMap { item[$0] } ?? item }
    func index(_ items: [JSONValue]) -> [JSONValue: Int] {
      Dictionary(items.enumerated().map { (name($0.element), $0.offset) }, uniquingKeysWith: { first, _ in first })
    }
    let (wanted, places, present) = (index(order), index(before), index(items))
    var named = wanted.sorted { $0.value < $1.value }.compactMap { wanted in present[wanted.key].map { items[$0] } }[
      ...]
    var others = items.filter { wanted[name($0)] == nil }[...]
    var result: [JSONValue] = []
    while let other = others.first, let next = named.first {
      if let otherPlace = places[name(other)], let nextPlace = places[name(next)], otherPlace < nextPlace {
        result.append(other)
        others.removeFirst()
      } else {
        result.append(next)
        named.removeFirst()
      }
    }
    return result + named + others
  }

  private static func mergeKey(_ schema: Schema?) -> String? {
    if case .list(_, .keyed(let keys))? = schema?.form { keys.patch } else { nil }
  }

  private static func directive(_ value: JSONValue) throws(StatusError) -> String? {
    guard let directive = value[patch] else { return nil }
    guard let text = directive.string, ["replace", "delete", "merge"].contains(text) else {
      throw bad("unknown patch type found: \(directive.compactText)")
    }
    return text
  }

  private static func list(_ value: JSONValue, _ key: String) throws(StatusError) -> [JSONValue] {
    guard let items = value.array else { throw bad("\(key) must be a list") }
    return items
  }

  private static func bad(_ text: String) -> StatusError {
    StatusError(400, "BadRequest", "unable to apply the strategic merge patch: \(text)")
  }
}
