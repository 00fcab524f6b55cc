import APIModel
import KubeModel

/// What a write changed, field by field. No field is in two of the sets.
struct FieldChanges: Hashable, Sendable {
  var added = FieldSet()
  var modified = FieldSet()
  var removed = FieldSet()

  var isEmpty: Bool { added.isEmpty && modified.isEmpty && removed.isEmpty }

  /// Fields that have a new value.
  var written: FieldSet { added.union(modified) }

  /// The changes from one value to another.
  init(from old: JSONValue, to new: JSONValue, _ schema: Schema?) { self = Self.compare(old, new, schema).below }

  private init() {}

  private enum Own { case none, added, modified, removed }

  private mutating func set(_ element: PathElement, _ outcome: (own: Own, below: FieldChanges)) {
    added[element] = FieldSet.Node(isMember: outcome.own == .added, below: outcome.below.added)
    modified[element] = FieldSet.Node(isMember: outcome.own == .modified, below: outcome.below.modified)
    removed[element] = FieldSet.Node(isMember: outcome.own == .removed, below: outcome.below.removed)
  }

  private static func compare(_ old: JSONValue?, _ new: JSONValue?, _ schema: Schema?) -> (
    own: Own, below: FieldChanges
  ) {
    if old == new { return (.none, FieldChanges()) }
    let own: Own = old == nil ? .added : new == nil ? .removed : .none
    var below = FieldChanges()
    switch (old.map { FieldShape($0, schema) }, new.map { FieldShape($0, schema) }) {
    case (.map(let old)?, .map(let new)?): compare(old, new, schema, &below)
    case (.map(let old)?, nil): compare(old, [:], schema, &below)
    case (nil, .map(let new)?): compare([:], new, schema, &below)
    case (.list(let old)?, .list(let new)?): compare(old, new, schema, &below)
    case (.list(let old)?, nil): compare(old, [], schema, &below)
    case (nil, .list(let new)?): compare([], new, schema, &below)
    case (_?, _?):
      // Another type of value, or one of those that are owned whole.
      if let old { below.removed = FieldSet(of: old, schema) }
      if let new { below.added = FieldSet(of: new, schema) }
      return (.modified, below)
    default: break
    }
    return (own, below)
  }

  private static func compare(
    _ old: [String: JSONValue], _ new: [String: JSONValue], _ schema: Schema?, _ changes: inout FieldChanges
  ) {
    for (name, value) in old { changes.set(.field(name), compare(value, new[name], schema?.child(name))) }
    for (name, value) in new where old[name] == nil {
      changes.set(.field(name), compare(nil, value, schema?.child(name)))
    }
  }

  private typealias Elements = [(element: PathElement, value: JSONValue)]

  /// Elements that occur several times are compared together, whole.
  private static func compare(
    _ old: Elements, _ new: Elements, _ schema: Schema?, _ changes: inout FieldChanges
  ) {
    let before = Dictionary(grouping: old, by: \.element).mapValues { $0.map(\.value) }
    let after = Dictionary(grouping: new, by: \.element).mapValues { $0.map(\.value) }
    for element in Set(before.keys).union(after.keys) {
      let (was, now, child) = (before[element] ?? [], after[element] ?? [], schema?.child(element))
      switch (was.count, now.count) {
      case (0...1, 0...1): changes.set(element, compare(was.first, now.first, child))
      case (2..., 2...):
        if was != now { changes.set(element, (.modified, FieldChanges())) }
      case (2..., _):
        let added = now.first.map { compare(nil, $0, child).below } ?? FieldChanges()
        changes.set(element, (.removed, added))
      default:
        let removed = was.first.map { compare($0, nil, child).below } ?? FieldChanges()
        changes.set(element, (.added, removed))
      }
    }
  }
}

extension FieldSet {
  /// The fields an applied configuration lays claim to.
  ///
  /// An object that its description names is not a field of its own: it is there for what is in it.
  init(of value: JSONValue, _ schema: Schema?) {
    self.init()
    switch FieldShape(value, schema) {
    case .leaf: break
    case .map(let fields):
      for (name, value) in fields {
        let child = schema?.child(name)
        let isMember = Self.isLeaf(value, child) || schema?.declares(name) != true
        self[.field(name)] = Node(isMember: isMember, below: FieldSet(of: value, child))
      }
    case .list(let elements):
      var seen: Set<PathElement> = []
      for (element, value) in elements {
        // One that occurs several times is owned whole.
        let again = !seen.insert(element).inserted
        let below = again ? FieldSet() : FieldSet(of: value, schema?.child(element))
        self[element] = Node(isMember: true, below: below)
      }
    }
  }

  private static func isLeaf(_ value: JSONValue, _ schema: Schema?) -> Bool {
    switch FieldShape(value, schema) {
    case .leaf: true
    case .map(let fields): fields.isEmpty
    case .list: false
    }
  }

  /// The set with the described objects that lead to its members.
  func withNamedParents(_ schema: Schema?) -> FieldSet {
    var result = FieldSet()
    for (element, node) in nodes {
      var isMember = node.isMember
      if case .field(let name) = element, schema?.declares(name) == true { isMember = true }
      result[element] = Node(isMember: isMember, below: node.below.withNamedParents(schema?.child(element)))
    }
    return result
  }
}
