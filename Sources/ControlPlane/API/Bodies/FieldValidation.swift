import APIModel

/// What is done about fields that the server does not know or that are given twice.
enum FieldValidation: String, Sendable {
  case strict = "Strict"
  case warn = "Warn"
  case ignore = "Ignore"

  init(_ request: APIRequest) throws(StatusError) {
    let text = request.query["fieldValidation"] ?? ""
    guard let value = text.isEmpty ? .ignore : Self(rawValue: text) else {
      throw StatusError(
        422, "Invalid",
        "fieldValidation: Unsupported value: \"\(text)\": supported values: \"Ignore\", \"Strict\", \"Warn\"")
    }
    self = value
  }

  /// Refuses an object with problems, or gives the warnings to be sent.
  func check(_ problems: [String], kind: ResourceKind) throws(StatusError) -> [String] {
    switch self {
    case .ignore: return []
    case .warn: return problems
    case .strict where problems.isEmpty: return []
    case .strict: throw Self.unusable(kind, "strict decoding error: \(problems.joined(separator: ", "))")
    }
  }

  static func unusable(_ kind: ResourceKind, _ why: String) -> StatusError {
    StatusError(
      400, "BadRequest",
      "\(kind.kind) in version \"\(kind.version)\" cannot be handled as a \(kind.kind): \(why)")
  }

  static func duplicates(_ paths: [String]) -> [String] { paths.map { "duplicate field \"\($0)\"" } }

  /// Fields that will be dropped, or mean nothing: in metadata, and of built-in kinds at the top.
  static func unknown(_ object: KubeObject, kind: ResourceKind) -> [String] {
    var unknown: [String] = []
    let known = kind.custom ? nil : Set(kind.schema.fields.map(\.name))
    for key in (object.json.object ?? [:]).keys.sorted() {
      if let known, !known.contains(key) { unknown.append("unknown field \"\(key)\"") }
    }
    for key in (object.metadata.object ?? [:]).keys.sorted() where Schema.metadata.child(key) == nil {
      unknown.append("unknown field \"metadata.\(key)\"")
    }
    return Array(unknown.prefix(16))
  }
}

/// Whether a built-in object's known fields hold what they should.
enum FieldTypes {
  /// Refuses a value of the wrong type, naming its field.
  static func check(_ object: KubeObject, kind: ResourceKind) throws(StatusError) {
    guard !kind.custom, let wrong = mismatch(object.json, kind.schema, kind.kind) else { return }
    throw FieldValidation.unusable(
      kind, "json: cannot unmarshal \(wrong.found) into Go struct field \(wrong.path) of type \(wrong.wanted)")
  }

  private typealias Mismatch = (path: String, found: String, wanted: String)

  private static func mismatch(_ value: JSONValue, _ schema: Schema, _ path: String) -> Mismatch? {
    if value.isNull { return nil }
    switch schema.form {
    case .anything: return nil
    case .string, .time: return value.string == nil ? (path, name(value), "string") : nil
    case .integer: return value.integer == nil ? (path, name(value), "int64") : nil
    case .boolean: return value.bool == nil ? (path, name(value), "bool") : nil
    case .quantity, .intOrString:
      return value.string == nil && value.double == nil ? (path, name(value), "string") : nil
    case .object(let fields):
      guard let object = value.object else { return (path, name(value), "object") }
      for field in fields {
        if let child = object[field.name], let wrong = mismatch(child, field.schema, "\(path).\(field.name)") {
          return wrong
        }
      }
      return nil
    case .map(let values):
      guard let object = value.object else { return (path, name(value), "object") }
      for key in object.keys.sorted() {
        if let wrong = mismatch(object[key] ?? .null, values, path) { return wrong }
      }
      return nil
    case .list(let element, _):
      guard let items = value.array else { return (path, name(value), "array") }
      for item in items { if let wrong = mismatch(item, element, path) { return wrong } }
      return nil
    }
  }

  private static func name(_ value: JSONValue) -> String {
    switch value {
    case .null: "null"
    case .bool: "bool"
    case .integer, .number: "number"
    case .string: "string"
    case .array: "array"
    case .object: "object"
    }
  }
}
