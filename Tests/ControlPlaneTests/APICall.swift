import APIModel

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

/// A request without a transport, and its answer as clients see it.
struct APICall {
  var fixture: StoreFixture

  /// A store with the namespace `default`.
  init(inMemory: Bool = false) async throws {
    fixture = try StoreFixture(inMemory: inMemory)
    try await fixture.namespace("default")
  }

  struct Answer {
    var code: Int
    var json: JSONValue
    var warnings: [String] = []
    var message: String { json["message"]?.string ?? "" }
    var object: KubeObject { KubeObject(json) }
  }

  func send(
    _ method: String, _ path: String, query: String = "", bytes: [UInt8], type: String = "application/json",
    accept: String = ""
  ) async throws -> Answer {
    let request = APIRequest(
      method: method, path: "/" + path, query: query, accept: accept, contentType: type, body: bytes)
    do {
      switch try await fixture.api.answer(request) {
      case .json(let code, let json, let warnings): return Answer(code: code, json: json, warnings: warnings)
      case .bytes(let code, "application/json", let bytes, _):
        return Answer(code: code, json: try JSONParser.parse(bytes))
      case .bytes(let code, _, _, _): return Answer(code: code, json: .null)
      case .watch, nil: return Answer(code: 0, json: .null)
      }
    } catch let error as StatusError { return Answer(code: error.code, json: error.json) }
  }

  func send(
    _ method: String, _ path: String, query: String = "", body: String = "", type: String = "application/json",
    accept: String = ""
  ) async throws -> Answer {
    try await send(method, path, query: query, bytes: Array(body.utf8), type: type, accept: accept)
  }

  /// The stream of a watch request.
  func watch(_ path: String, query: String) async throws -> WatchStream? {
    let request = APIRequest(method: "GET", path: "/" + path, query: "watch=true&" + query)
    guard case .watch(let stream)? = try await fixture.api.answer(request) else { return nil }
    return stream
  }
}
