/// What a value may be, with a sentence about it.
///
/// One description serves OpenAPI documents (and so `kubectl explain`), strict field validation and the merge keys of
/// strategic patches. Fields that a description leaves out are kept all the same.
struct Schema: Sendable {
  indirect enum Form: Sendable {
    case string
    case integer
    case boolean
    /// RFC 3339.
    case time
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

  /// How a strategic patch treats a list.
  enum ListMerge: Sendable, Hashable {
    /// Replaced whole.
    case atomic
    /// Elements are objects told apart by this field.
    case key(String)
    /// Elements are scalars, each present once.
    case set
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

  /// Any value.
  static let anything = Schema(form: .anything, text: "")
  static let string = Schema(form: .string, text: "")

  static func object(_ text: String, _ fields: [Field]) -> Schema { Schema(form: .object(fields), text: text) }

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

  static func integer(_ name: String, _ text: String) -> Self {
    Self(name: name, schema: Schema(form: .integer, text: text))
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

  static func object(_ name: String, _ text: String, _ fields: [Schema.Field]) -> Self {
    Self(name: name, schema: Schema(form: .object(fields), text: text))
  }

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

  /// A list of objects; merged by `key`, or replaced whole without one.
  static func objects(_ name: String, _ text: String, key: String? = nil, _ fields: [Schema.Field]) -> Self {
    let merge = key.map(Schema.ListMerge.key) ?? .atomic
    return Self(name: name, schema: Schema(form: .list(.object("", fields), merge), text: text))
  }
}
