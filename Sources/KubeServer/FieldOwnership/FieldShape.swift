import APIModel
import KubeModel

/// How a value falls into fields that can have different owners, by its description.
///
/// What is not described is as in kinds without descriptions: objects by field, lists whole.
enum FieldShape {
  /// Owned whole.
  case leaf
  case map([String: JSONValue])
  /// Elements with what tells them apart; an element may occur more than once.
  case list([(element: PathElement, value: JSONValue)])

  init(_ value: JSONValue, _ schema: Schema?) {
    switch value {
    case .object(let fields) where schema?.atomic != true: self = .map(fields)
    case .array(let items):
      // An element without its key cannot be told from others: the list is one field then.
      if let elements = try? Self.elements(items, schema) { self = .list(elements) } else { self = .leaf }
    default: self = .leaf
    }
  }

  /// Why a list does not fall into elements.
  enum Problem: Error, Hashable {
    case atomic
    /// The element at this place lacks its key, or is of the wrong type.
    case element(Int, String)
  }

  /// The elements of a list that is merged by element.
  static func elements(_ items: [JSONValue], _ schema: Schema?) throws(Problem) -> [(
    element: PathElement, value: JSONValue
  )] {
    guard case .list(_, let merge)? = schema?.form, !merge.isAtomic else { throw .atomic }
    var elements: [(element: PathElement, value: JSONValue)] = []
    for (index, item) in items.enumerated() {
      if case .keyed(let keys) = merge {
        elements.append((try key(item, keys, index), item))
      } else {
        elements.append((try value(item, index), item))
      }
    }
    return elements
  }

  private static func value(_ item: JSONValue, _ index: Int) throws(Problem) -> PathElement {
    switch item {
    case .null, .array, .object: throw .element(index, "associative list without keys has an element that is no scalar")
    default: return .value(item)
    }
  }

  private static func key(_ item: JSONValue, _ keys: Schema.ListKeys, _ index: Int) throws(Problem) -> PathElement {
    guard let fields = item.object else {
      throw .element(index, "associative list with keys may not have non-map elements")
    }
    var key: [String: JSONValue] = [:]
    for name in keys.apply {
      if let value = fields[name] { key[name] = value } else if let value = keys.defaults[name] { key[name] = value }
    }
    if key.isEmpty {
      let names = keys.apply.map { "\"\($0)\"" }.joined(separator: " ")
      throw .element(
        index,
        "associative list with keys has an element that omits all key fields [\(names)] "
          + "(and doesn't have default values for any key fields)")
    }
    return .key(key)
  }
}

extension Schema {
  /// The description of what a path element leads to.
  func child(_ element: PathElement) -> Schema? {
    switch (element, form) {
    case (.field(let name), _): child(name)
    case (_, .list(let element, _)): element
    default: nil
    }
  }

  /// Whether the description names this field.
  func declares(_ name: String) -> Bool {
    if case .object(let fields) = form { fields.contains { $0.name == name } } else { false }
  }
}
