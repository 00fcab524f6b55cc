import APIModel

/// What a value may be, with a sentence about it.
///
/// One description serves OpenAPI documents (and so `kubectl explain`), the types that every write is held to (``TypeCheck``),
/// the merge keys of strategic patches and the ownership of fields. Fields that a description leaves out are kept all the
/// same.
struct Schema: Sendable {
  indirect enum Form: Sendable {
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
  enum IntegerWidth: String, Sendable {
    case int32, int64
    /// Not negative, 64 bits; values beyond the signed range are not kept here.
    case uint64

    var range: ClosedRange<Int64> {
      switch self {
      case .int32: Int64(Int32.min)...Int64(Int32.max)
      case .int64: .min ... .max
      case .uint64: 0 ... .max
      }
    }
  }

  /// How strategic patches and server-side apply treat a list.
  enum ListMerge: Sendable, Hashable {
    /// Replaced whole.
    case atomic
    /// Elements are objects told apart by some of their fields.
    case keyed(ListKeys)
    /// Elements are scalars, each present once.
    case set

    /// Whether the list has one owner, whole.
    var isAtomic: Bool {
      switch self {
      case .atomic: true
      case .keyed(let keys): keys.apply.isEmpty
      case .set: false
      }
    }
  }

  /// What tells the elements of a list apart. The two ways of writing do not agree everywhere.
  struct ListKeys: Sendable, Hashable, ExpressibleByStringLiteral {
    /// The merge key of strategic patches.
    var patch: String
    /// The key fields of server-side apply; empty: the list has one owner.
    var apply: [String]
    /// Values of key fields that elements may leave out.
    var defaults: [String: JSONValue] = [:]

    init(patch: String, apply: [String], defaults: [String: JSONValue] = [:]) {
      self.patch = patch
      self.apply = apply
      self.defaults = defaults
    }

    init(stringLiteral name: String) { self.init(patch: name, apply: [name]) }

    /// Ports are told apart by number and protocol; strategic patches look at the number only.
    static func port(_ number: String) -> ListKeys {
      ListKeys(patch: number, apply: [number, "protocol"], defaults: ["protocol": "TCP"])
    }
  }

  /// A named part of an object.
  struct Field: Sendable {
    var name: String
    var schema: Schema
  }

  var form: Form
  var text: String
  /// The only values allowed; empty when there is no such list.
  var values: [String] = []
  /// Whether an object belongs to one owner whole, as atomic lists do.
  var atomic = false

  /// Any value.
  static let anything = Schema(form: .anything, text: "")
  static let string = Schema(form: .string, text: "")

  static func object(_ text: String, _ fields: [Field]) -> Schema { Schema(form: .object(fields), text: text) }

  /// The same, for one owner whole.
  var owned: Schema {
    var schema = self
    schema.atomic = true
    return schema
  }

  /// Fields of an object by name; empty for other forms.
  var fields: [Field] { if case .object(let fields) = form { fields } else { [] } }

  /// The description of a field or of a map's values; nil when there is none.
  func child(_ name: String) -> Schema? {
    switch form {
    case .object(let fields): fields.first { $0.name == name }?.schema
    case .map(let values): values
    default: nil
    }
  }
}

// The words descriptions are written in.
extension Schema.Field {
  static func string(_ name: String, _ text: String, values: [String] = []) -> Self {
    Self(name: name, schema: Schema(form: .string, text: text, values: values))
  }

  static func integer(_ name: String, _ text: String, _ width: Schema.IntegerWidth = .int64) -> Self {
    Self(name: name, schema: Schema(form: .integer(width), text: text))
  }

  static func int32(_ name: String, _ text: String) -> Self { integer(name, text, .int32) }

  static func uint64(_ name: String, _ text: String) -> Self { integer(name, text, .uint64) }

  static func bytes(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .bytes, text: text))
  }

  static func boolean(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .boolean, text: text))
  }

  static func time(_ name: String, _ text: String) -> Self { Self(name: name, schema: Schema(form: .time, text: text)) }

  static func quantity(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .quantity, text: text))
  }

  static func intOrString(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .intOrString, text: text))
  }

  static func any(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .anything, text: text))
  }

  /// An object whose fields are not described.
  static func opaque(_ name: String, _ text: String) -> Self { object(name, text, []) }

  /// A list, replaced whole, whose elements are not described.
  static func list(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .list(.object("", []), .atomic), text: text))
  }

  /// A map of sizes.
  static func quantities(_ name: String, _ text: String) -> Self {
    mapOf(name, text, Schema(form: .quantity, text: ""))
  }

  static func object(_ name: String, _ text: String, _ fields: [Schema.Field]) -> Self {
    Self(name: name, schema: Schema(form: .object(fields), text: text))
  }

  /// The same field, for one owner whole.
  var owned: Self { Self(name: name, schema: schema.owned) }

  /// A map of texts.
  static func map(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .map(.string), text: text))
  }

  static func mapOf(_ name: String, _ text: String, _ values: Schema) -> Self {
    Self(name: name, schema: Schema(form: .map(values), text: text))
  }

  /// A list of texts, replaced whole.
  static func strings(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .list(.string, .atomic), text: text))
  }

  /// A list of texts that patches add to.
  static func set(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .list(.string, .set), text: text))
  }

  /// A list of objects; merged by `key`, or replaced whole without one. The elements may be atomic.
  static func objects(
    _ name: String, _ text: String, key: Schema.ListKeys? = nil, ownedElements: Bool = false, _ fields: [Schema.Field]
  ) -> Self {
    let merge = key.map(Schema.ListMerge.keyed) ?? .atomic
    let element = ownedElements ? Schema.object("", fields).owned : .object("", fields)
    return Self(name: name, schema: Schema(form: .list(element, merge), text: text))
  }
}
