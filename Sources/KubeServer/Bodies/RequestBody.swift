import APIModel
import KubeModel

/// Bodies of write requests, read within limits.
enum RequestBody {
  /// The object of a POST or PUT, with what is to be said about its fields.
  static func object(_ request: APIRequest, kind: ResourceKind) throws(StatusError) -> (
    object: KubeObject, warnings: [String]
  ) {
    let validation = try FieldValidation(request)
    var problems: [String] = []
    var object: KubeObject
    switch request.contentType {
    case "", "application/json", "*/*":
      var parser = request.parser
      do { object = KubeObject(try parser.parseDocument()) } catch { throw unrecognized(kind, "\(error)") }
      problems = FieldValidation.duplicates(parser.duplicates)
    case ProtobufBody.mediaType where !kind.custom: object = try protobuf(request, kind)
    default: throw unsupported("application/json\(kind.custom ? "" : ", \(ProtobufBody.mediaType)")")
    }
    try checkType(&object, kind: kind)
    object = kind.converted(object)
    try FieldTypes.check(object, kind: kind)
    problems += FieldValidation.unknown(object, kind: kind)
    return (object, try validation.check(problems, kind: kind))
  }

  private static func protobuf(_ request: APIRequest, _ kind: ResourceKind) throws(StatusError) -> KubeObject {
    do { return KubeObject(try ProtobufBody.decode(request.body)) } catch {
      switch error {
      case .malformed(let why): throw unrecognized(kind, why)
      case .unknown(let what):
        throw StatusError(
          415, "UnsupportedMediaType",
          "\(what) is not read as protobuf here: use kubectl create ... --dry-run=client -o yaml | "
            + "kubectl apply -f -, or a client that sends JSON")
      }
    }
  }

  /// An object of the kind of the URL. Built-in kinds may leave out what the URL says already.
  static func checkType(_ object: inout KubeObject, kind: ResourceKind) throws(StatusError) {
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
    if !object.kind.isEmpty, object.kind != kind.kind { throw wrongKind(object, kind) }
    object.json["kind"] = .string(kind.kind)
    object.json["apiVersion"] = .string(kind.apiVersion)
  }

  static func wrongKind(_ object: KubeObject, _ kind: ResourceKind) -> StatusError {
    kind.invalid(
      object.name,
      [
        StatusError.Cause(
          reason: "FieldValueInvalid", message: "Invalid value: \"\(object.kind)\": must be \(kind.kind)", field: "kind"
        )
      ])
  }

  private static func unrecognized(_ kind: ResourceKind, _ why: String) -> StatusError {
    StatusError(
      400, "BadRequest", "the object provided is unrecognized (must be of type \(kind.kind)): \(why)")
  }

  static func unsupported(_ types: String) -> StatusError {
    StatusError(
      415, "UnsupportedMediaType",
      "the body of the request was in an unknown format - accepted media types include: \(types)")
  }
}
