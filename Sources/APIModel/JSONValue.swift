/// A JSON document as a value: what API objects are kept and changed as, so that unknown fields survive.
///
/// Objects compare and print in the order of their keys, so equal documents have equal texts.
public enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])
}

extension JSONValue {
  /// The text of a string; nil for anything else.
  public var string: String? { if case .string(let text) = self { text } else { nil } }

  /// The value of a boolean; nil for anything else.
  public var bool: Bool? { if case .bool(let flag) = self { flag } else { nil } }

  /// The value of a whole number; nil for anything else.
  public var integer: Int64? {
    switch self {
    case .integer(let value): value
    case .number(let value): Int64(exactly: value)
    default: nil
    }
  }

  /// The value of any number; nil for anything else.
  public var double: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }

  /// The items of an array; nil for anything else.
  public var array: [JSONValue]? { if case .array(let items) = self { items } else { nil } }

  /// The fields of an object; nil for anything else.
  public var object: [String: JSONValue]? { if case .object(let fields) = self { fields } else { nil } }

  /// Whether this is an explicit `null`.
  public var isNull: Bool { self == .null }

  /// A scalar as text, for people: strings as they are, numbers and booleans as JSON writes them.
  public var text: String? {
    switch self {
    case .string(let text): text
    case .integer, .number, .bool: compactText
    default: nil
    }
  }

  /// An object's field. Setting one on anything but an object makes it an object; setting nil removes the field.
  public subscript(_ key: String) -> JSONValue? {
    get { object?[key] }
    set {
      var fields = object ?? [:]
      // Dropped first, so that the dictionary is unique while it is changed and not copied.
      self = .null
      fields[key] = newValue
      self = .object(fields)
    }
  }

  /// The value at the end of a path of field names; nil when a step is missing.
  public subscript(path path: [String]) -> JSONValue? {
    get {
      var value = self
      for key in path {
        guard let next = value[key] else { return nil }
        value = next
      }
      return value
    }
    set {
      guard let first = path.first else {
        self = newValue ?? .null
        return
      }
      guard path.count > 1 else {
        self[first] = newValue
        return
      }
      var child = self[first] ?? .object([:])
      child[path: Array(path.dropFirst())] = newValue
      self[first] = child
    }
  }

  /// The value at a dotted path such as `spec.local.path`.
  public subscript(at path: String) -> JSONValue? {
    get { self[path: path.split(separator: ".").map(String.init)] }
    set { self[path: path.split(separator: ".").map(String.init)] = newValue }
  }

  /// A whole number that never overflows: values beyond the signed range stay at its end.
  public static func count(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(Dictionary(elements, uniquingKeysWith: { _, last in last }))
  }
}
