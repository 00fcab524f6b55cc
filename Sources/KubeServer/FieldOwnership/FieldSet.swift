import APIModel
import KubeModel

/// One step from a value to a part of it.
enum PathElement: Hashable, Sendable {
  /// A field of an object.
  case field(String)
  /// The element of a keyed list that has these values in its key fields.
  case key([String: JSONValue])
  /// The element of a list of scalars that has this value.
  case value(JSONValue)
  /// An element by its place; nothing here makes these, others' sets may have them.
  case index(Int)
}

/// A set of fields: the tree of the paths of its members.
///
/// A member says nothing about what is above or below it: the owner of `spec` does not own `spec.replicas`.
struct FieldSet: Hashable, Sendable {
  struct Node: Hashable, Sendable {
    /// Whether this path itself is in the set.
    var isMember = false
    /// The members below.
    var below = FieldSet()
  }

  /// No node is there that is no member and has no members below.
  private(set) var nodes: [PathElement: Node] = [:]

  init() {}

  /// A set of one path; the empty path names no field.
  init(_ path: [PathElement]) {
    guard let first = path.first else { return }
    self[first] = Node(isMember: path.count == 1, below: FieldSet(Array(path.dropFirst())))
  }

  var isEmpty: Bool { nodes.isEmpty }

  /// The part of the set at one element; setting a node without members removes it.
  subscript(_ element: PathElement) -> Node {
    get { nodes[element] ?? Node() }
    set { nodes[element] = newValue.isMember || !newValue.below.isEmpty ? newValue : nil }
  }

  func contains(_ path: [PathElement]) -> Bool {
    guard let first = path.first, let node = nodes[first] else { return false }
    return path.count == 1 ? node.isMember : node.below.contains(Array(path.dropFirst()))
  }

  func union(_ other: FieldSet) -> FieldSet {
    if other.isEmpty { return self }
    var result = self
    for (element, node) in other.nodes {
      let own = self[element]
      result[element] = Node(isMember: own.isMember || node.isMember, below: own.below.union(node.below))
    }
    return result
  }

  /// The members that are in both sets.
  func intersection(_ other: FieldSet) -> FieldSet {
    var result = FieldSet()
    for (element, node) in nodes {
      let theirs = other[element]
      result[element] = Node(
        isMember: node.isMember && theirs.isMember, below: node.below.intersection(theirs.below))
    }
    return result
  }

  /// The members that are not in the other set; those below one of its members stay.
  func subtracting(_ other: FieldSet) -> FieldSet {
    if other.isEmpty { return self }
    var result = self
    for (element, theirs) in other.nodes {
      guard let node = nodes[element] else { continue }
      result[element] = Node(
        isMember: node.isMember && !theirs.isMember, below: node.below.subtracting(theirs.below))
    }
    return result
  }

  /// The set without a top-level field and all below it.
  func without(field: String) -> FieldSet {
    var result = self
    result[.field(field)] = Node()
    return result
  }

  /// Nothing but a top-level field and what is below it.
  func only(field: String) -> FieldSet {
    var result = FieldSet()
    result[.field(field)] = self[.field(field)]
    return result
  }

  /// The paths of all members, in the order of their texts.
  var paths: [[PathElement]] {
    sorted.flatMap { element, node in
      (node.isMember ? [[element]] : []) + node.below.paths.map { [element] + $0 }
    }
  }

  /// The nodes in the order of their texts.
  var sorted: [(element: PathElement, node: Node)] {
    nodes.map { (key: $0.key.text, element: $0.key, node: $0.value) }.sorted { $0.key < $1.key }
      .map { (element: $0.element, node: $0.node) }
  }
}

extension PathElement {
  /// For people: `.spec`, `[name="web"]`, `[="finalizer"]`.
  var description: String {
    switch self {
    case .field(let name): return ".\(name)"
    case .key(let fields):
      let pairs = fields.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.compactText)" }
      return "[\(pairs.joined(separator: ","))]"
    case .value(let value): return "[=\(value.compactText)]"
    case .index(let index): return "[\(index)]"
    }
  }
}
