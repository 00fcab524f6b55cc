import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("What storkctl asks for on the way to something else")
struct StorkctlRequestTests {
  // `delete schedulepolicy` looks for users of the policy, `activate migrations` for custom kinds; either gives up on 404.
  @Test(
    "kinds of which there are none are listed as empty, and take nothing",
    arguments: [
      "namespaces/shop/applicationbackupschedules", "applicationbackupschedules", "volumesnapshotschedules",
      "applicationregistrations",
    ])
  func absentKinds(path: String) async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    func send(_ method: String, _ body: String) async throws -> APIResponse? {
      try await fixture.api.answer(
        APIRequest(
          method: method, path: "/apis/stork.libopenstorage.org/v1alpha1/" + path, query: "",
          accept: "application/json, */*", contentType: "application/json", body: Array(body.utf8)))
    }
    guard case .bytes(let code, _, let bytes, _) = try await send("GET", "") else {
      Issue.record("no list")
      return
    }
    #expect(code == 200)
    #expect(try JSONParser.parse(bytes)["items"] == [])
    let error = await #expect(throws: StatusError.self) { try await send("POST", #"{"metadata":{"name":"x"}}"#) }
    #expect(error?.code == 405)
  }
}
