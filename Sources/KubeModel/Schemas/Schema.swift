public import APIModel

/// What a value may be, with a sentence about it.
///
/// One description serves OpenAPI documents (and so `kubectl explain`), the types that every write is held to (``TypeCheck``),
/// the merge keys of strategic patches and the ownership of fields. Fields that a description leaves out are kept all the
/// same.
public struct Schema: Sendable {
  public indirect enum Form: Sendable {
    case string
    case integer(IntegerWidth)
    case boolean
    /// RFC 3339.
    case time
    /// Base64.
    case bytes
    /// A text. Numbers and booleans are taken for their texts, as the documents print them, and stored as such.
    case looseString
    /// `4Gi`, or a plain number.
    case quantity
    case intOrString
    /// Any JSON value.
    case anything
    case object([Field])
    /// Any keys, values of one form.
    case map(Schema)
    case list(Schema, ListMerge)
  }

  /// What fits into the integer that typed clients have for a field.
  public enum IntegerWidth: String, Sendable {
    case int32, int64
    /// Not negative, 64 bits; values beyond the signed range are not kept here.
    case uint64

    public var range: ClosedRange<Int64> {
      switch self {
      case .int32: Int64(Int32.min)...Int64(Int32.max)
      case .int64: .min ... .max
      case .uint64: 0 ... .max
      }
    }
  }

  /// How strategic patches and server-side apply treat a list.
  public enum ListMerge: Sendable, Hashable {
    /// Replaced whole.
    case atomic
    /// Elements are objects told apart by some of their fields.
    case keyed(ListKeys)
    /// Elements are scalars, each present once.
    case set

    /// Whether the list has one owner, whole.
    public var isAtomic: Bool {
      switch self {
      case .atomic: true
      case .keyed(let keys): keys.apply.isEmpty
      case .set: false
      }
    }
  }

  /// What tells the elements of a list apart. The two ways of writing do not agree everywhere.
  public struct ListKeys: Sendable, Hashable, ExpressibleByStringLiteral {
    /// The merge key of strategic patches.
    public var patch: String
    /// The key fields of server-side apply; empty: the list has one owner.
    public var apply: [String]
    /// Values of key fields that elements may leave out.
    public var defaults: [String: JSONValue] = [:]

    public init(patch: String, apply: [String], defaults: [String: JSONValue] = [:]) {
      self.patch = patch
      self.apply = apply
      self.defaults = defaults
    }

    public init(stringLiteral name: String) { self.init(patch: name, apply: [name]) }

    /// Ports are told apart by number and protocol; strategic patches look at the number only.
    public static func port(_ number: String) -> ListKeys {
      ListKeys(patch: number, apply: [number, "protocol"], defaults: ["protocol": "TCP"])
    }
  }

  /// A named part of an object.
  public struct Field: Sendable {
    public var name: String
    public var schema: Schema

    public init(name: String, schema: Schema) {
      self.name = name
      self.schema = schema
    }
  }

  public var form: Form
  public var text: String
  /// The only values allowed; empty when there is no such list.
  public var values: [String] = []
  /// Whether an object belongs to one owner whole, as atomic lists do.
  public var atomic = false

  public init(form: Form, text: String, values: [String] = []) {
    self.form = form
    self.text = text
    self.values = values
  }

  /// Any value.
  public static let anything = Schema(form: .anything, text: "")
  public static let string = Schema(form: .string, text: "")

  public static func object(_ text: String, _ fields: [Field]) -> Schema { Schema(form: .object(fields), text: text) }

  /// The same, for one owner whole.
  public var owned: Schema {
    var schema = self
    schema.atomic = true
    return schema
  }

  /// Fields of an object by name; empty for other forms.
  public var fields: [Field] { if case .object(let fields) = form { fields } else { [] } }

  /// The description of a field or of a map's values; nil when there is none.
  public func child(_ name: String) -> Schema? {
    switch form {
    case .object(let fields): fields.first { $0.name == name }?.schema
    case .map(let values): values
    default: nil
    }
  }
}

// The words descriptions are written in.
extension Schema.Field {
  public static func string(_ name: String, _ text: String, values: [String] = []) -> Self {
    Self(name: name, schema: Schema(form: .string, text: text, values: values))
  }

  public static func integer(_ name: String, _ text: String, _ width: Schema.IntegerWidth = .int64) -> Self {
    Self(name: name, schema: Schema(form: .integer(width), text: text))
  }

  public static func int32(_ name: String, _ text: String) -> Self { integer(name, text, .int32) }

  public static func uint64(_ name: String, _ text: String) -> Self { integer(name, text, .uint64) }

  public static func bytes(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .bytes, text: text))
  }

  public static func boolean(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .boolean, text: text))
  }

  public static func time(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .time, text: text))
  }

  public static func quantity(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .quantity, text: text))
  }

  public static func intOrString(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .intOrString, text: text))
  }

  public static func any(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .anything, text: text))
  }

  /// An object whose fields are not described.
  public static func opaque(_ name: String, _ text: String) -> Self { object(name, text, []) }

  /// A list, replaced whole, whose elements are not described.
  public static func list(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .list(.object("", []), .atomic), text: text))
  }

  /// A map of sizes.
  public static func quantities(_ name: String, _ text: String) -> Self {
    mapOf(name, text, Schema(form: .quantity, text: ""))
  }

  public static func object(_ name: String, _ text: String, _ fields: [Schema.Field]) -> Self {
    Self(name: name, schema: Schema(form: .object(fields), text: text))
  }

  /// The same field, for one owner whole.
  public var owned: Self { Self(name: name, schema: schema.owned) }

  /// A map of texts.
  public static func map(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .map(.string), text: text))
  }

  public static func mapOf(_ name: String, _ text: String, _ values: Schema) -> Self {
    Self(name: name, schema: Schema(form: .map(values), text: text))
  }

  /// A list of texts, replaced whole.
  public static func strings(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .list(.string, .atomic), text: text))
  }

  /// A list of texts that patches add to.
  public static func set(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .list(.string, .set), text: text))
  }

  /// A list of objects; merged by `key`, or replaced whole without one. The elements may be atomic.
  public static func objects(
    _ name: String, _ text: String, key: Schema.ListKeys? = nil, ownedElements: Bool = false, _ fields: [Schema.Field]
  ) -> Self {
    let merge = key.map(Schema.ListMerge.keyed) ?? .atomic
    let element = ownedElements ? Schema.object("", fields).owned : .object("", fields)
    return Self(name: name, schema: Schema(form: .list(element, merge), text: text))
  }
}
