import APIModel
import Testing

@testable import ControlPlane

/// What a server says about itself, as kubectl reads it.
@Suite("Discovery and OpenAPI") struct DiscoveryTests {
  private let discovery = Discovery(registry: .standard)

  private func get(_ path: String, query: String = "", accept: String = "", ifNoneMatch: String = "") throws -> (
    code: Int, type: String, json: JSONValue, headers: [String: String]
  ) {
    let request = APIRequest(method: "GET", path: path, query: query, accept: accept, ifNoneMatch: ifNoneMatch)
    switch discovery.answer(request) {
    case .json(let code, let json, _): return (code, "application/json", json, [:])
    case .bytes(let code, let type, let bytes, let headers):
      let json = type.hasPrefix("application/json") && !bytes.isEmpty ? try JSONParser.parse(bytes) : .null
      return (code, type, json, headers)
    default: return (404, "", .null, [:])
    }
  }

  @Test("The aggregated form is given to those who ask for exactly that, the old one to everybody else")
  func bothFormsOfDiscovery() throws {
    let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    let asked = try get("/apis", accept: "\(v2),application/json;g=apidiscovery.k8s.io;v=v2beta1,application/json")
    #expect(asked.type == v2 && asked.json["kind"] == "APIGroupDiscoveryList")
    let groups = asked.json["items"]?.array ?? []
    #expect(groups.contains { $0[at: "metadata.name"] == "stork.libopenstorage.org" })
    let core = try get("/api", accept: v2).json["items"]?.array?.first
    #expect(core?["metadata"] == [:])
    let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
    #expect(try get("/apis", accept: beta).json["kind"] == "APIGroupList")
    #expect(try get("/apis").json["kind"] == "APIGroupList")
  }

  @Test("Every kind has a path with a patch that takes fieldValidation, or is read only")
  func documentsNameEveryKind() throws {
    let index = try get("/openapi/v3").json["paths"]?.object ?? [:]
    for kind in ResourceRegistry.standard.kinds {
      let url = try #require(index[String(kind.root.dropFirst())]?["serverRelativeURL"]?.string)
      let parts = url.split(separator: "?")
      let document = try get(String(parts[0]), query: String(parts[1]))
      #expect(document.code == 200 && document.headers["Cache-Control"] == "public, immutable")
      let paths = document.json["paths"]?.object ?? [:]
      let scope = kind.namespaced ? "/namespaces/{namespace}" : ""
      let path = try #require(paths["\(kind.root)\(scope)/\(kind.plural)/{name}"])
      #expect(path[at: "get"]?["x-kubernetes-group-version-kind"]?["kind"] == .string(kind.kind))
      let parameters = path[at: "patch.parameters"]?.array?.compactMap { $0["name"]?.string } ?? []
      #expect(parameters.contains("fieldValidation") == kind.verbs.contains("patch"))
      let schemas = document.json[at: "components.schemas"]?.object ?? [:]
      let schema = schemas.values.first {
        $0["x-kubernetes-group-version-kind"]?.array?.first?["kind"]?.string == kind.kind
      }
      #expect(schema?["description"]?.string?.isEmpty == false, "\(kind.kind) says what it is for")
    }
  }

  @Test("A document is kept by its hash: 304 for those who have it, 301 from an old hash")
  func documentsAreCached() throws {
    let url = try #require(
      get("/openapi/v3").json["paths"]?["apis/batch/v1"]?["serverRelativeURL"]?.string)
    let parts = url.split(separator: "?").map(String.init)
    let document = try get(parts[0], query: parts[1])
    let tag = try #require(document.headers["ETag"])
    #expect(try get(parts[0], query: parts[1], ifNoneMatch: tag).code == 304)
    let moved = try get(parts[0], query: "hash=old")
    #expect(moved.code == 301 && moved.headers["Location"] == url)
    #expect(try get(parts[0]).headers["Cache-Control"] == nil)
    #expect(try get("/openapi/v3/apis/none/v1").code == 404)
  }

  @Test("Every field of the Stork kinds is described")
  func everyFieldIsDescribed() {
    func check(_ schema: Schema, _ path: String) {
      for field in schema.fields {
        #expect(!field.schema.text.isEmpty, "\(path).\(field.name)")
        check(field.schema, "\(path).\(field.name)")
      }
      if case .list(let element, _) = schema.form { check(element, "\(path)[]") }
      if case .map(let values) = schema.form { check(values, "\(path){}") }
    }
    let absent = Set(ResourceKind.absentStork.map(\.kind))
    for kind in ResourceRegistry.standard.kinds where kind.custom && !absent.contains(kind.kind) {
      #expect(!kind.fields.isEmpty, "\(kind.kind) has fields")
      check(kind.schema, kind.kind)
    }
  }

  @Test("Old clients get the document of 19 bytes")
  func oldDocument() throws {
    guard case .bytes(200, let type, let bytes, _)? = discovery.answer(APIRequest(method: "GET", path: "/openapi/v2"))
    else {
      Issue.record("no document")
      return
    }
    #expect(type == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf" && bytes.count == 19)
  }
}

@Suite("Negotiation") struct NegotiationTests {
  private static let table = "application/json;as=Table;v=v1;g=meta.k8s.io"

  @Test(
    "The first form of the list that is known here is taken",
    arguments: [
      ("", .json), ("*/*", .json), ("application/json, */*", .json), ("\(table),application/json", .table),
      ("application/vnd.kubernetes.protobuf,application/json", .json),
      ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", .json),
      ("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", .partial), ("APPLICATION/JSON", .json),
      ("application/json;q=0.9", .json), ("application/json;stream=watch", .json),
    ] as [(String, Negotiation.Form)])
  func known(_ accept: String, _ form: Negotiation.Form) throws {
    #expect(try Negotiation.form(accept) == form)
  }

  @Test(
    "Nothing known is 406",
    arguments: ["application/cbor", "text/html", "application/vnd.kubernetes.protobuf", "application/json;as=Nothing"])
  func unknown(_ accept: String) {
    let error = #expect(throws: StatusError.self) { _ = try Negotiation.form(accept) }
    #expect(error?.code == 406)
  }
}
