import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

/// What clients print of a ClusterPair, written back.
@Suite("The mask of a secret")
struct SecretMaskTests {
  private static let pairs = "apis/stork.libopenstorage.org/v1alpha1/namespaces/default/clusterpairs"
  private static let lastApplied = ["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]

  private static func pair(token: JSONValue?) -> JSONValue {
    var pair: JSONValue = [
      "apiVersion": "stork.libopenstorage.org/v1alpha1", "kind": "ClusterPair", "metadata": ["name": "b"],
      "spec": ["options": ["ip": "192.0.2.7"]],
    ]
    pair[path: SecretMask.token] = token
    return pair
  }

  /// A stored pair with a token and what kubectl keeps of it, and as clients print it.
  private func stored() async throws -> (call: APICall, printed: JSONValue) {
    let call = try await APICall()
    var pair = Self.pair(token: "secret")
    pair[path: Self.lastApplied] = "{ token: secret }"
    let made = try await call.send("POST", Self.pairs, bytes: JSONWriter.bytes(pair))
    try #require(made.code == 201)
    let printed = SecretMask.hide(made.json)
    #expect(!printed.compactText.contains("secret"))
    return (call, printed)
  }

  private func expectKept(_ call: APICall, _ answer: APICall.Answer, sourceLocation: SourceLocation = #_sourceLocation)
    async throws
  {
    #expect(answer.code == 200, "\(answer.message)", sourceLocation: sourceLocation)
    let json = try await call.send("GET", "\(Self.pairs)/b").json
    #expect(json[path: SecretMask.token] == "secret", sourceLocation: sourceLocation)
    #expect(json[path: Self.lastApplied] == "{ token: secret }", sourceLocation: sourceLocation)
    #expect(json[at: "spec.options.ip"] == "192.0.2.8", sourceLocation: sourceLocation)
  }

  @Test("keeps the stored secret in a PUT and in a merge patch of what was printed", arguments: ["PUT", "PATCH"])
  func whole(method: String) async throws {
    var (call, printed) = try await stored()
    printed[at: "spec.options.ip"] = "192.0.2.8"
    let answer = try await call.send(
      method, "\(Self.pairs)/b", bytes: JSONWriter.bytes(printed),
      type: method == "PUT" ? "application/json" : "application/merge-patch+json")
    try await expectKept(call, answer)
  }

  @Test("keeps the stored secret in a JSON patch")
  func jsonPatch() async throws {
    let (call, _) = try await stored()
    let patch = #"""
      [{"op":"replace","path":"/spec/options/token","value":"[hidden]"},
       {"op":"replace","path":"/spec/options/ip","value":"192.0.2.8"}]
      """#
    let answer = try await call.send(
      "PATCH", "\(Self.pairs)/b", body: patch, type: "application/json-patch+json")
    try await expectKept(call, answer)
  }

  @Test("keeps the stored secret in a server-side apply, without a conflict about it")
  func apply() async throws {
    let (call, _) = try await stored()
    var wanted = Self.pair(token: .string(SecretMask.text))
    let same = try await call.send(
      "PATCH", "\(Self.pairs)/b", query: "fieldManager=m", bytes: JSONWriter.bytes(wanted),
      type: "application/apply-patch+yaml")
    #expect(same.code == 200, "\(same.message)")
    wanted[at: "spec.options.ip"] = "192.0.2.8"
    let answer = try await call.send(
      "PATCH", "\(Self.pairs)/b", query: "fieldManager=m&force=true", bytes: JSONWriter.bytes(wanted),
      type: "application/apply-patch+yaml")
    try await expectKept(call, answer)
  }

  @Test("is refused where no secret is stored, and the refusal says what to do", arguments: ["POST", "PUT", "apply"])
  func refused(method: String) async throws {
    let call = try await APICall()
    var masked = Self.pair(token: .string(SecretMask.text))
    let answer: APICall.Answer
    switch method {
    case "POST": answer = try await call.send("POST", Self.pairs, bytes: JSONWriter.bytes(masked))
    case "PUT":
      let made = try await call.send("POST", Self.pairs, bytes: JSONWriter.bytes(Self.pair(token: nil)))
      masked[at: "metadata.resourceVersion"] = .string(made.object.resourceVersion)
      answer = try await call.send("PUT", "\(Self.pairs)/b", bytes: JSONWriter.bytes(masked))
    default:
      answer = try await call.send(
        "PATCH", "\(Self.pairs)/b", query: "fieldManager=m", bytes: JSONWriter.bytes(masked),
        type: "application/apply-patch+yaml")
    }
    #expect(answer.code == 422)
    #expect(answer.message.contains("spec.options.token") && answer.message.contains("replctl pair token"))
  }

  @Test("leaves a new token and other kinds alone")
  func others() async throws {
    let (call, _) = try await stored()
    let answer = try await call.send(
      "PATCH", "\(Self.pairs)/b", body: #"{"spec":{"options":{"token":"newer"}}}"#,
      type: "application/merge-patch+json")
    #expect(answer.json[path: SecretMask.token] == "newer")
    let map = try await call.send(
      "POST", "api/v1/namespaces/default/configmaps",
      body: #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"data":{"token":"[hidden]"}}"#)
    #expect(map.json[at: "data.token"] == "[hidden]")
  }
}
