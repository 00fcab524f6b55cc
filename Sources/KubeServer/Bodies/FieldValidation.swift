import APIModel
import KubeModel

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

/// Whether the fields of a sent object hold what they should.
enum FieldTypes {
  /// Refuses values of wrong types, naming their fields: as the decoder of a built-in kind does, and for custom kinds as
  /// the validation by their schema.
  static func check(_ object: KubeObject, kind: ResourceKind) throws(StatusError) {
    let faults = kind.typeFaults(object)
    guard let first = faults.first else { return }
    let causes = faults.map(\.statusCause)
    let metadata = faults.first { $0.path.hasPrefix(Self.metadata) }
    if kind.custom, metadata == nil { throw kind.invalid(object.name, causes) }
    var fault = metadata ?? first
    if metadata != nil { fault.path.removeFirst(Self.metadata.count) }
    var error = FieldValidation.unusable(
      kind, fault.decodingText(owner: metadata == nil ? kind.kind : "ObjectMeta"))
    error.causes = causes
    throw error
  }

  private static let metadata = "metadata."
}
