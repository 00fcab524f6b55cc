import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

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
    #expect(try get(parts[0]).headers["Cache-Control"] == "public", "without the hash it must be asked for again")
    #expect(try get("/openapi/v3/apis/none/v1").code == 404)
  }

  @Test("Discovery and documents have tags, a different one for each form: 304 for those who have them")
  func tags() throws {
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    let protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    for (path, other) in [
      ("/api", aggregated), ("/apis", aggregated), ("/openapi/v2", protobuf), ("/apis/batch", ""), ("/api/v1", ""),
      ("/openapi/v3", ""),
    ] {
      let answer = try get(path)
      let tag = try #require(answer.headers["ETag"], "\(path)")
      #expect(answer.headers["Vary"] == "Accept")
      let kept = try get(path, ifNoneMatch: tag)
      #expect(kept.code == 304 && kept.json == .null && kept.headers["ETag"] == tag, "\(path)")
      #expect(try get(path, ifNoneMatch: "\"old\"").code == 200)
      if !other.isEmpty { #expect(try get(path, accept: other, ifNoneMatch: tag).code == 200, "\(path)") }
    }
    #expect(try get("/version").headers["ETag"] == nil)
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

  @Test("Old clients find every kind in the one document of before: its fields, and what its writes may be asked")
  func oldDocument() throws {
    let document = try get("/openapi/v2").json
    #expect(document["swagger"] == "2.0")
    let (paths, definitions) = (document["paths"]?.object ?? [:], document["definitions"]?.object ?? [:])
    for kind in ResourceRegistry.standard.kinds {
      let names = OpenAPISchema.names(kind)
      let definition = definitions[OpenAPISchema.name(kind)]
      #expect(definition?["x-kubernetes-group-version-kind"] == [names], "\(kind.kind)")
      #expect(
        definition?[at: "properties.metadata"] == ["$ref": .string("#/definitions/\(OpenAPISchema.metadataName)")])
      guard kind.verbs.contains("patch") else { continue }
      let patches = paths.values.compactMap { $0["patch"] }.filter { $0["x-kubernetes-group-version-kind"] == names }
      #expect(!patches.isEmpty)
      for patch in patches {
        #expect(patch["parameters"]?.array?.contains { $0["name"] == "dryRun" && $0["in"] == "query" } == true)
      }
    }
  }

  @Test("and in protobuf, which they ask for, the same")
  func oldDocumentInProtobuf() throws {
    let accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    guard
      case .bytes(200, let type, let bytes, _)? = discovery.answer(
        APIRequest(method: "GET", path: "/openapi/v2", accept: accept))
    else {
      Issue.record("no document")
      return
    }
    #expect(type == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
    #expect(bytes.starts(with: [0x0A, 0x03] + Array("2.0".utf8)))
    let small: JSONValue = [
      "swagger": "2.0", "info": ["title": "t", "version": "1"],
      "paths": [
        "/p": [
          "patch": [
            "parameters": [["name": "dryRun", "in": "query", "type": "string"]],
            "responses": ["200": ["description": "OK"]],
            "x-a": ["k": "v"],
          ]
        ]
      ],
      "definitions": [
        "D": ["type": "object", "properties": ["l": ["type": "array", "items": ["$ref": "#/definitions/E"]]]]
      ],
    ]
    // Written by another program, from the definitions of gnostic.
    let expected =
      "0a03322e3012060a0174120131424e124c0a022f7012464244421d0a1b12191a1712057175657279220664727952756e3206"
      + "737472696e674a0f0a0d0a0332303012060a040a024f4b6a120a03782d61120b12097b226b223a2276227d4a3c0a3a0a0144"
      + "1235b201080a066f626a656374ca01270a250a016c1220b201070a056172726179ba01130a110a0f232f646566696e697469"
      + "6f6e732f45"
    let hex = OpenAPIv2Protobuf.document(small).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    #expect(hex == expected)
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
