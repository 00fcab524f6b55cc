public import APIModel
import FoundationEssentials

/// Whether values are of the types that typed clients have for them: what is stored, every client can decode. Pure.
///
/// A value of a wrong type is never taken for the default, which is often the opposite of what was written.
public struct TypeCheck {
  /// One value that is not what its description says.
  public struct Fault: Hashable, Sendable {
    public enum Cause: Hashable, Sendable {
      /// Of another type; its name.
      case type(String)
      /// Of the right type, and not one of its values.
      case value(String)
      /// None of the words allowed.
      case word([String])
    }

    /// `spec.namespaces[1]`.
    public var path: String
    /// What it should be: `boolean`, `int32`.
    public var wanted: String
    public var cause: Cause
    /// As a typed client would say it: the type, the field, and what the client has for it.
    public var value: JSONValue
  }

  /// Faults told at once.
  public static let told = 16

  private let limit: Int
  private var faults: [Fault] = []

  /// The faults of a value, the first ones when there are more than `limit`.
  public static func faults(_ value: JSONValue, _ schema: Schema, at path: String = "", limit: Int = told) -> [Fault] {
    var check = TypeCheck(limit: limit)
    check.check(value, schema, path)
    return check.faults
  }

  private init(limit: Int) { self.limit = limit }

  private mutating func check(_ value: JSONValue, _ schema: Schema, _ path: String) {
    // Null is "not there" for every typed client.
    guard faults.count < limit, !value.isNull else { return }
    switch schema.form {
    case .anything: return
    case .object(let fields): checkObject(value, fields, path)
    case .map(let values):
      guard let map = value.object else { return refuse(value, "object", path) }
      for key in map.keys.sorted() { checkPart(map[key] ?? .null, values, Self.join(path, key)) }
    case .list(let element, _):
      guard let items = value.array else { return refuse(value, "array", path) }
      for (index, item) in items.enumerated() { checkPart(item, element, "\(path)[\(index)]") }
    default: checkScalar(value, schema, path)
    }
  }

  private mutating func checkObject(_ value: JSONValue, _ fields: [Schema.Field], _ path: String) {
    guard let object = value.object else { return refuse(value, "object", path) }
    for field in fields {
      if let child = object[field.name] { check(child, field.schema, Self.join(path, field.name)) }
    }
  }

  /// An element or the value of a map: a null there would be dropped, or be an empty text that nobody has written.
  private mutating func checkPart(_ value: JSONValue, _ schema: Schema, _ path: String) {
    guard faults.count < limit else { return }
    if value.isNull, schema.form.isScalar { return refuse(value, schema.form.name, path) }
    check(value, schema, path)
  }

  private mutating func checkScalar(_ value: JSONValue, _ schema: Schema, _ path: String) {
    let wanted = schema.form.name
    switch schema.form {
    case .integer(let width):
      guard case .integer(let number) = value else {
        let isNumber = value.double != nil
        return isNumber
          ? refuse(value, wanted, path, "must be a whole number within \(width)") : refuse(value, wanted, path)
      }
      if !width.range.contains(number) { refuse(value, wanted, path, "must be within \(width)") }
    case .boolean: if value.bool == nil { refuse(value, wanted, path) }
    case .intOrString:
      if case .integer(let number) = value {
        if !Schema.IntegerWidth.int32.range.contains(number) { refuse(value, wanted, path, "must be within int32") }
      } else if value.string == nil {
        refuse(value, wanted, path)
      }
    case .quantity:
      guard let text = value.string ?? (value.double == nil ? nil : value.compactText) else {
        return refuse(value, wanted, path)
      }
      if !Quantity.isWellFormed(text) { refuse(value, wanted, path, Self.quantityText) }
    case .looseString: if value.text == nil { refuse(value, wanted, path) }
    default: checkText(value, schema, path)
    }
  }

  private static let quantityText =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"

  private mutating func checkText(_ value: JSONValue, _ schema: Schema, _ path: String) {
    guard let text = value.string else { return refuse(value, schema.form.name, path) }
    switch schema.form {
    case .time:
      if Timestamp.seconds(text) == nil {
        refuse(value, "date-time", path, "must be a time as in 2006-01-02T15:04:05Z")
      }
    case .bytes:
      // The value itself is not repeated: it may be a secret.
      if Data(base64Encoded: text) == nil {
        faults.append(
          Fault(path: path, wanted: "byte", cause: .value("must be base64"), value: .null))
      }
    default:
      guard !schema.values.isEmpty, !text.isEmpty, !schema.values.contains(text) else { return }
      faults.append(
        Fault(path: path, wanted: "string", cause: .word(schema.values.filter { !$0.isEmpty }), value: value))
    }
  }

  private mutating func refuse(_ value: JSONValue, _ wanted: String, _ path: String, _ why: String? = nil) {
    let cause = why.map(Fault.Cause.value) ?? .type(value.typeName)
    faults.append(Fault(path: path, wanted: wanted, cause: cause, value: value))
  }

  private static func join(_ path: String, _ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
}

extension Schema.Form {
  var isScalar: Bool {
    switch self {
    case .anything, .object, .map, .list: false
    default: true
    }
  }

  /// The word of OpenAPI for a scalar.
  var name: String {
    switch self {
    case .integer(let width): width == .int32 ? "int32" : "integer"
    case .boolean: "boolean"
    case .intOrString: "integer or string"
    case .object, .map: "object"
    case .list: "array"
    default: "string"
    }
  }
}

extension JSONValue {
  /// The word of OpenAPI for the type of a value.
  var typeName: String {
    switch self {
    case .null: "null"
    case .bool: "boolean"
    case .integer: "integer"
    case .number: "number"
    case .string: "string"
    case .array: "array"
    case .object: "object"
    }
  }
}

extension TypeCheck.Fault {
  /// As an API server says it of a field.
  public var statusCause: StatusError.Cause {
    switch cause {
    case .type(let found):
      StatusError.Cause(
        reason: "FieldValueTypeInvalid",
        message: "Invalid value: \"\(found)\": \(path) in body must be of type \(wanted): \"\(found)\"", field: path)
    case .value(let why):
      StatusError.Cause(
        reason: "FieldValueInvalid", message: "Invalid value: \(shown): \(path) in body \(why)", field: path)
    case .word(let words):
      StatusError.Cause(
        reason: "FieldValueNotSupported",
        message: "Unsupported value: \(shown): supported values: "
          + words.map { "\"\($0)\"" }.joined(separator: ", "), field: path)
    }
  }

  private var shown: String {
    value.isNull ? "\"\(wanted)\"" : String(value.compactText.prefix(256))
  }

  /// As the decoder of a built-in kind says it; `owner` is the kind, or `ObjectMeta` for what is in metadata.
  public func decodingText(owner: String) -> String {
    let field = "\(owner).\(path)"
    switch cause {
    case .type(let found):
      return
        "json: cannot unmarshal \(Self.jsonName(found)) into Go struct field \(field) of type \(Self.goName(wanted))"
    case .value(let why): return "json: cannot decode Go struct field \(field) (\(wanted)): \(why)"
    case .word: return "\(field): \(statusCause.message)"
    }
  }

  private static func jsonName(_ word: String) -> String {
    switch word {
    case "integer": "number"
    case "boolean": "bool"
    default: word
    }
  }

  private static func goName(_ word: String) -> String {
    switch word {
    case "integer": "int64"
    case "boolean": "bool"
    default: word
    }
  }
}

/// The types of whole objects.
extension ResourceKind {
  /// Faults of an object.
  public func typeFaults(_ object: KubeObject, limit: Int = TypeCheck.told) -> [TypeCheck.Fault] {
    TypeCheck.faults(object.json, schema, limit: limit)
  }

  /// Causes for what is of a wrong type and was not so before: an object that an older version has stored stays writable
  /// where nobody touches it.
  public func typeCauses(_ object: KubeObject, old: KubeObject?) -> [StatusError.Cause] {
    let faults = typeFaults(object)
    guard !faults.isEmpty, let old else { return faults.map(\.statusCause) }
    // All of the old ones: two lists that are both cut short cannot be compared.
    let before = Set(typeFaults(old, limit: .max))
    let new = typeFaults(object, limit: before.count + TypeCheck.told).filter { !before.contains($0) }
    return new.prefix(TypeCheck.told).map(\.statusCause)
  }

  /// Why a stored object cannot be carried out: what an older version has stored, or what came from elsewhere. nil for all
  /// that this version takes.
  public func storedFault(_ object: KubeObject) -> String? {
    // A word that is none is told by whoever reads it.
    let first = typeFaults(converted(object)).first { fault in
      if case .word = fault.cause { false } else { true }
    }
    guard let cause = first?.statusCause else { return nil }
    return "\(cause.field): \(cause.message); nothing is done with this \(kind) until it is corrected"
  }

  /// An object with the values that its description takes in several forms in the one that is stored.
  public func converted(_ object: KubeObject) -> KubeObject {
    guard hasLooseStrings else { return object }
    return KubeObject(Self.converted(object.json, schema))
  }

  /// Whether there is anything to convert; only ClusterPairs have such fields.
  private var hasLooseStrings: Bool { fields.contains { $0.schema.hasLooseStrings } }

  private static func converted(_ value: JSONValue, _ schema: Schema) -> JSONValue {
    switch (schema.form, value) {
    case (.looseString, .bool), (.looseString, .integer), (.looseString, .number):
      return .string(value.compactText)
    case (.object(let described), .object(var fields)):
      for field in described where field.schema.hasLooseStrings {
        if let child = fields[field.name] { fields[field.name] = converted(child, field.schema) }
      }
      return .object(fields)
    case (.map(let values), .object(let fields)): return .object(fields.mapValues { converted($0, values) })
    case (.list(let element, _), .array(let items)): return .array(items.map { converted($0, element) })
    default: return value
    }
  }
}

extension Schema {
  /// Whether a value of this description may have to be converted.
  var hasLooseStrings: Bool {
    switch form {
    case .looseString: true
    case .object(let fields): fields.contains { $0.schema.hasLooseStrings }
    case .map(let values): values.hasLooseStrings
    case .list(let element, _): element.hasLooseStrings
    default: false
    }
  }
}
