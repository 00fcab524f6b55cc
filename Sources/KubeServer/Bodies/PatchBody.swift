import APIModel
import KubeModel

/// The document of a PATCH, in the form the request says.
struct PatchBody: Sendable {
  enum Form: Sendable { case json, merge, strategic, apply }

  let form: Form
  private let kind: ResourceKind
  let value: JSONValue
  private let validation: FieldValidation
  private let duplicates: [String]

  init(_ request: APIRequest, kind: ResourceKind) throws(StatusError) {
    self.kind = kind
    form = try Self.form(request, kind)
    validation = try FieldValidation(request)
    var parser = request.parser
    do { value = try parser.parseDocument() } catch {
      throw StatusError(400, "BadRequest", "error decoding patch: \(error)")
    }
    duplicates = FieldValidation.duplicates(parser.duplicates)
    if form != .json, value.object == nil {
      throw StatusError(400, "BadRequest", "error decoding patch: the patch must be an object")
    }
    try Self.checkOptions(request, form)
    if form == .apply {
      var object = KubeObject(value)
      try RequestBody.checkType(&object, kind: kind)
    }
  }

  private static func checkOptions(_ request: APIRequest, _ form: Form) throws(StatusError) {
    let problem: String
    switch form {
    case .apply where (request.query["fieldManager"] ?? "").isEmpty:
      problem = "fieldManager: Required value: is required for apply patch"
    case .json where request.query["force"] != nil, .merge where request.query["force"] != nil,
      .strategic where request.query["force"] != nil:
      problem = "force: Forbidden: may not be specified for non-apply patch"
    default: return
    }
    throw StatusError(422, "Invalid", "PatchOptions.meta.k8s.io \"\" is invalid: \(problem)")
  }

  private static func form(_ request: APIRequest, _ kind: ResourceKind) throws(StatusError) -> Form {
    switch request.contentType {
    case "application/json-patch+json": return .json
    case "application/merge-patch+json": return .merge
    case "application/apply-patch+yaml": return .apply
    case "application/strategic-merge-patch+json" where !kind.custom: return .strategic
    default:
      let strategic = kind.custom ? "" : "application/strategic-merge-patch+json, "
      throw RequestBody.unsupported(
        "application/json-patch+json, application/merge-patch+json, \(strategic)application/apply-patch+yaml")
    }
  }

  /// The object as the patch wants it.
  func apply(to old: KubeObject) throws(StatusError) -> KubeObject {
    try checked(KubeObject(kind.reveal(try changed(old.json), old.json)), old)
  }

  /// The object as server-side apply wants it, with who owns its fields.
  func apply(to old: KubeObject, _ apply: ServerSideApply) throws(StatusError) -> KubeObject {
    var apply = apply
    apply.config = kind.reveal(apply.config, old.json)
    return try checked(try apply.apply(to: old), old)
  }

  private func checked(_ wanted: KubeObject, _ old: KubeObject) throws(StatusError) -> KubeObject {
    var result = wanted
    if !old.uid.isEmpty {
      try checkIdentity(result, old)
    }
    try RequestBody.checkType(&result, kind: kind)
    // The types are checked with the stored object beside it: what is wrong there already is not the patch's fault.
    return kind.converted(result)
  }

  /// What is to be said about the fields of the patch, and of the object that came out of it.
  func warnings(_ object: KubeObject) throws(StatusError) -> [String] {
    try validation.check(duplicates + FieldValidation.unknown(object, kind: kind), kind: kind)
  }

  private func changed(_ json: JSONValue) throws(StatusError) -> JSONValue {
    switch form {
    case .json: try JSONPatch.apply(value, to: json)
    case .merge: MergePatch.apply(value, to: json)
    case .apply, .strategic: try StrategicMerge.apply(value, to: json, schema: kind.schema)
    }
  }

  private func checkIdentity(_ result: KubeObject, _ old: KubeObject) throws(StatusError) {
    var causes: [StatusError.Cause] = []
    func differs(_ field: String, _ text: String) {
      causes.append(StatusError.Cause(reason: "FieldValueInvalid", message: text, field: field))
    }
    if result.kind != kind.kind { differs("kind", "Invalid value: \"\(result.kind)\": must be \(kind.kind)") }
    if result.apiVersion != kind.apiVersion {
      differs("apiVersion", "Invalid value: \"\(result.apiVersion)\": must be \(kind.apiVersion)")
    }
    if !result.uid.isEmpty, result.uid != old.uid {
      differs("metadata.uid", "Invalid value: \"\(result.uid)\": field is immutable")
    }
    if !causes.isEmpty { throw kind.invalid(old.name, causes) }
  }
}
