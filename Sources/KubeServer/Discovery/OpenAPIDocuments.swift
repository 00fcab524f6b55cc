import APIModel
import KubeModel

/// The OpenAPI v3 documents, made once: one for each group and version, found through an index with their hashes.
struct OpenAPIDocuments: Sendable {
  /// By the path of the group and version: `api/v1`, `apis/batch/v1`.
  private let documents: [String: TaggedDocument]

  init(_ registry: ResourceRegistry) {
    var documents: [String: TaggedDocument] = [:]
    let versions = [(group: "", version: "v1")] + registry.groups
    for (group, version) in versions {
      let kinds = registry.kinds.filter { $0.group == group && $0.version == version }
      guard let first = kinds.first else { continue }
      let bytes = JSONWriter.bytes(Self.document(kinds))
      documents[String(first.root.dropFirst())] = TaggedDocument(contentType: "application/json", bytes)
    }
    self.documents = documents
  }

  /// The answer to `/openapi/v3` and what is below it; nil when nothing is there.
  func answer(_ request: APIRequest) -> APIResponse? {
    let path = request.path.dropFirst(2).joined(separator: "/")
    if path.isEmpty { return .json(200, index) }
    guard let document = documents[path] else { return nil }
    switch request.query["hash"] {
    case nil: return document.answer(request)
    case document.hash:
      return document.answer(
        request, headers: ["Cache-Control": "public, immutable", "Expires": "Thu, 31 Dec 2099 23:59:59 GMT"])
    default:
      return .bytes(301, contentType: "text/plain", [], headers: ["Location": Self.location(path, document.hash)])
    }
  }

  private var index: JSONValue {
    [
      "paths": .object(
        documents.reduce(into: [:]) { paths, entry in
          paths[entry.key] = ["serverRelativeURL": .string(Self.location(entry.key, entry.value.hash))]
        })
    ]
  }

  private static func location(_ path: String, _ hash: String) -> String { "/openapi/v3/\(path)?hash=\(hash)" }

  private static func document(_ kinds: [ResourceKind]) -> JSONValue {
    let schema = OpenAPISchema.three
    var paths: [String: JSONValue] = [:]
    var schemas: [String: JSONValue] = [OpenAPISchema.metadataName: schema.json(.metadata)]
    for kind in kinds {
      paths.merge(OpenAPIPaths(schema: schema).paths(kind)) { first, _ in first }
      schemas[OpenAPISchema.name(kind)] = schema.component(kind)
    }
    return [
      "openapi": "3.0.0", "info": ["title": "repl-agent", "version": "1"],
      "components": ["schemas": .object(schemas)], "paths": .object(paths),
    ]
  }
}
