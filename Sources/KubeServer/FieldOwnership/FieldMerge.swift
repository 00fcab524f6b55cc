import APIModel
import KubeModel

/// Merging an applied configuration into an object, and taking fields out of one.
struct FieldMerge {
  /// Whether null in a configuration means "not there", as in built-in kinds; otherwise it is a value.
  var dropsNulls: Bool

  /// The object with the values of the configuration; nil when nothing is left.
  func merged(_ live: JSONValue?, _ config: JSONValue?, _ schema: Schema?) -> JSONValue? {
    guard let config else { return live }
    if dropsNulls, config.isNull { return nil }
    switch (live.map { FieldShape($0, schema) }, FieldShape(config, schema)) {
    case (.map(let live)?, .map(let config)):
      var fields = live
      for (name, value) in config { fields[name] = merged(live[name], value, schema?.child(name)) }
      return .object(fields)
    case (nil, .map(let config)):
      let fields = config.reduce(into: [:]) { $0[$1.key] = merged(nil, $1.value, schema?.child($1.key)) }
      return fields.isEmpty && !config.isEmpty ? nil : .object(fields)
    // Nobody would own it, so that it would go with the next apply, and come back with the one after.
    case (nil, .list(let config)) where config.isEmpty: return nil
    case (.list(let live)?, .list(let config)): return .array(merged(live, config, schema))
    case (nil, .list(let config)): return .array(merged([], config, schema))
    default: return config
    }
  }

  private typealias Elements = [(element: PathElement, value: JSONValue)]

  /// The elements of both lists: those of the configuration in its order, those of the object alone where they were
  /// between the ones they share.
  private func merged(_ live: Elements, _ config: Elements, _ schema: Schema?) -> [JSONValue] {
    let wanted = Set(config.map(\.element))
    // One that occurs several times is replaced, not merged.
    let present = Dictionary(live.map { ($0.element, Optional($0.value)) }, uniquingKeysWith: { _, _ in nil })
    var shared = config.map(\.element).filter { present[$0] != nil }[...]
    var (result, done): ([JSONValue], Set<PathElement>) = ([], [])
    var (live, config) = (live[...], config[...])
    func take(_ next: (element: PathElement, value: JSONValue)) {
      done.insert(next.element)
      if let value = merged(present[next.element] ?? nil, next.value, schema?.child(next.element)) {
        result.append(value)
      }
      if shared.first == next.element { shared.removeFirst() }
    }
    while !live.isEmpty || !config.isEmpty {
      if let old = live.first, let new = config.first {
        if old.element == new.element {
          take(new)
          live.removeFirst()
          config.removeFirst()
          continue
        }
        // Shared, but its turn in the configuration is another.
        if wanted.contains(old.element), let next = shared.first, next != old.element {
          live.removeFirst()
          continue
        }
      }
      if let old = live.first {
        if !wanted.contains(old.element) {
          result.append(old.value)
          live.removeFirst()
          continue
        }
        if done.contains(old.element) { live.removeFirst() }
      }
      if let new = config.popFirst() { take(new) }
    }
    return result
  }

  /// A value without the fields of a set; nil when nothing is left of it.
  static func removing(_ set: FieldSet, from value: JSONValue, _ schema: Schema?) -> JSONValue? {
    if set.isEmpty { return value }
    switch FieldShape(value, schema) {
    case .leaf: return value
    case .map(let fields):
      var rest: [String: JSONValue] = [:]
      for (name, value) in fields {
        let node = set[.field(name)]
        if !node.isMember { rest[name] = removing(node.below, from: value, schema?.child(name)) }
      }
      return rest.isEmpty && !fields.isEmpty ? nil : .object(rest)
    case .list(let elements):
      let rest = elements.compactMap { element, value -> JSONValue? in
        let node = set[element]
        return node.isMember ? nil : removing(node.below, from: value, schema?.child(element))
      }
      return rest.isEmpty && !elements.isEmpty ? nil : .array(rest)
    }
  }
}
