import APIModel
import KubeModel

/// The OpenAPI v2 document, made once, in both its forms.
///
/// Clients up to Kubernetes 1.28 read it before they write: for the fields of a kind, and for what a write may be asked.
struct OpenAPIv2Document: Sendable {
  private let text: TaggedDocument
  private let protobuf: TaggedDocument

  /// What clients of this form ask for begins with this, and goes on with `@v1.0+protobuf`.
  private static let protobufType = "application/com.github.proto-openapi.spec.v2"

  init(_ registry: ResourceRegistry) {
    let document = Self.document(registry)
    text = TaggedDocument(contentType: "application/json", JSONWriter.bytes(document))
    protobuf = TaggedDocument(
      contentType: "\(Self.protobufType).v1.0+protobuf", OpenAPIv2Protobuf.document(document))
  }

  /// The answer in the form that is asked for.
  func answer(_ request: APIRequest) -> APIResponse {
    (request.accept.hasPrefix(Self.protobufType) ? protobuf : text).answer(request)
  }

  static func document(_ registry: ResourceRegistry) -> JSONValue {
    let schema = OpenAPISchema.two
    var paths: [String: JSONValue] = [:]
    var definitions: [String: JSONValue] = [OpenAPISchema.metadataName: schema.json(.metadata)]
    for kind in registry.kinds {
      paths.merge(OpenAPIPaths(schema: schema).paths(kind)) { first, _ in first }
      definitions[OpenAPISchema.name(kind)] = schema.component(kind)
    }
    return [
      "swagger": "2.0", "info": ["title": "repl-agent", "version": "1"], "paths": .object(paths),
      "definitions": .object(definitions),
    ]
  }
}
