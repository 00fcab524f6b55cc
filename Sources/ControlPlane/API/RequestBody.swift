import APIModel

/// Bodies of write requests, read within limits.
enum RequestBody {
  /// A patch in the form the request says.
  struct Patch: Sendable {
    enum Form: Sendable { case json, merge, strategic, apply }
    var form: Form
    var value: JSONValue

    /// Server-side apply makes what is missing.
    var createsMissing: Bool { form == .apply }

    func apply(to json: JSONValue) throws(StatusError) -> JSONValue {
      switch form {
      case .json: return try JSONPatch.apply(value, to: json)
      case .merge, .apply: return MergePatch.apply(value, to: json)
      case .strategic: return MergePatch.applyStrategic(value, to: json)
      }
    }
  }

  /// The object of a POST or PUT.
  static func object(_ request: APIRequest, kind: ResourceKind) throws(StatusError) -> (
    object: KubeObject, warnings: [String]
  ) {
    guard ["", "application/json", "*/*"].contains(request.contentType) else {
      throw unsupported("application/json")
    }
    var parser = JSONParser(request.body)
    var object: KubeObject
    do { object = KubeObject(try parser.parseDocument()) } catch { throw unrecognized(kind, "\(error)") }
    guard object.json.object != nil, object.json["metadata"]?.object != nil || object.json["metadata"] == nil else {
      throw unrecognized(kind, "the body is not an object with metadata")
    }
    if object.kind.isEmpty, kind.custom { throw unrecognized(kind, "Object 'Kind' is missing") }
    if !object.apiVersion.isEmpty || kind.custom, object.apiVersion != kind.apiVersion {
      throw StatusError(
        400, "BadRequest",
        "the API version in the data (\(object.apiVersion)) does not match the expected API version (\(kind.apiVersion))"
      )
    }
    if !object.kind.isEmpty, object.kind != kind.kind {
      throw kind.invalid(
        object.name,
        [
          StatusError.Cause(
            reason: "FieldValueInvalid", message: "Invalid value: \"\(object.kind)\": must be \(kind.kind)",
            field: "kind")
        ])
    }
    if object.kind.isEmpty { object.json["kind"] = .string(kind.kind) }
    let duplicates = parser.duplicates.map { "duplicate field \"\($0)\"" }
    if request.query["fieldValidation"] == "Strict", !duplicates.isEmpty {
      throw StatusError(
        400, "BadRequest",
        "\(kind.kind) in version \"\(kind.version)\" cannot be handled as a \(kind.kind): strict decoding error: "
          + duplicates.joined(separator: ", "))
    }
    return (object, request.query["fieldValidation"] == "Warn" ? duplicates : [])
  }

  /// The document of a PATCH.
  static func patch(_ request: APIRequest, kind: ResourceKind) throws(StatusError) -> Patch {
    let form: Patch.Form
    switch request.contentType {
    case "application/json-patch+json": form = .json
    case "application/merge-patch+json": form = .merge
    case "application/apply-patch+yaml": form = .apply
    case "application/strategic-merge-patch+json" where !kind.custom: form = .strategic
    default:
      let strategic = kind.custom ? "" : ", application/strategic-merge-patch+json"
      throw unsupported(
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml\(strategic)")
    }
    let value: JSONValue
    do { value = try JSONParser.parse(request.body) } catch {
      throw StatusError(400, "BadRequest", "error decoding patch: \(error)")
    }
    if form != .json, value.object == nil {
      throw StatusError(400, "BadRequest", "error decoding patch: the patch must be an object")
    }
    if form == .apply, (request.query["fieldManager"] ?? "").isEmpty {
      throw StatusError(
        422, "Invalid",
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch")
    }
    return Patch(form: form, value: value)
  }

  /// Options of a DELETE, from the body or the query.
  static func deleteOptions(_ request: APIRequest) throws(StatusError) -> DeleteOptions {
    var options = DeleteOptions(dryRun: try ObjectAPI.dryRun(request))
    var policy = request.query["propagationPolicy"]
    if !request.body.isEmpty {
      let body: JSONValue
      do { body = try JSONParser.parse(request.body) } catch {
        throw StatusError(400, "BadRequest", "the delete options are not valid JSON: \(error)")
      }
      policy = body["propagationPolicy"]?.string ?? policy
      options.uid = body[at: "preconditions.uid"]?.string
      options.resourceVersion = body[at: "preconditions.resourceVersion"]?.string
      if body["dryRun"]?.array == ["All"] { options.dryRun = true }
      if body["orphanDependents"]?.bool == true { policy = policy ?? PropagationPolicy.orphan.rawValue }
    }
    if let policy, !policy.isEmpty {
      guard let known = PropagationPolicy(rawValue: policy) else {
        throw StatusError(
          422, "Invalid",
          "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"\(policy)\": "
            + "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"")
      }
      options.propagation = known
    }
    return options
  }

  /// A plain JSON object, for the agent's own endpoints; an empty body is an empty object.
  static func plain(_ request: APIRequest) throws(StatusError) -> JSONValue {
    guard !request.body.isEmpty else { return .object([:]) }
    do {
      let value = try JSONParser.parse(request.body)
      if value.object != nil { return value }
    } catch { throw StatusError(400, "BadRequest", "the body is not valid JSON: \(error)") }
    throw StatusError(400, "BadRequest", "the body must be a JSON object")
  }

  private static func unrecognized(_ kind: ResourceKind, _ why: String) -> StatusError {
    StatusError(
      400, "BadRequest", "the object provided is unrecognized (must be of type \(kind.kind)): \(why)")
  }

  private static func unsupported(_ types: String) -> StatusError {
    StatusError(
      415, "UnsupportedMediaType",
      "the body of the request was in an unknown format - accepted media types include: \(types)")
  }
}
