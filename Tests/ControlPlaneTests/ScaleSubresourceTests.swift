import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("Replicas are read and set through scale")
struct ScaleSubresourceTests {
  private let fixture: StoreFixture

  init() async throws {
    fixture = try StoreFixture()
    try await fixture.namespace("shop")
    var cart = ResourceKind.deployment.object(namespace: "shop", name: "cart")
    cart.json["spec"] = [
      "replicas": 2, "selector": ["matchLabels": ["app": "cart"]],
      "template": ["metadata": ["labels": ["app": "cart"]], "spec": ["containers": [["name": "c", "image": "i"]]]],
    ]
    _ = try await fixture.store.create(.deployment, cart, dryRun: false)
  }

  private func send(_ method: String, _ body: JSONValue = .null, type: String = "application/merge-patch+json")
    async throws -> JSONValue
  {
    let request = APIRequest(
      method: method, path: "/apis/apps/v1/namespaces/shop/deployments/cart/scale", query: "", accept: "",
      contentType: type, body: body.isNull ? [] : JSONWriter.bytes(body))
    guard case .json(_, let json, _) = try await fixture.api.answer(request) else { return .null }
    return json
  }

  private var replicas: JSONValue? {
    get async throws { try await fixture.store.get(.deployment, namespace: "shop", name: "cart").spec["replicas"] }
  }

  @Test("what is there is told as a Scale")
  func read() async throws {
    let scale = try await send("GET")
    #expect(scale["kind"] == "Scale" && scale["apiVersion"] == "autoscaling/v1")
    #expect(scale[at: "spec.replicas"] == 2)
    #expect(scale[at: "status.selector"] == "app=cart")
  }

  @Test("a patch of the replicas changes them and nothing else, as kubectl scale does it")
  func patch() async throws {
    let before = try await fixture.store.get(.deployment, namespace: "shop", name: "cart")
    let scale = try await send("PATCH", ["spec": ["replicas": 5]])
    #expect(scale[at: "spec.replicas"] == 5)
    var after = try await fixture.store.get(.deployment, namespace: "shop", name: "cart")
    #expect(after.spec["replicas"] == 5)
    after.json[at: "spec.replicas"] = 2
    #expect(after.spec == before.spec)
  }

  @Test("a replacement with an old version is a conflict")
  func stale() async throws {
    var scale = try await send("GET")
    _ = try await send("PATCH", ["spec": ["replicas": 3]])
    scale[at: "spec.replicas"] = 7
    let error = await #expect(throws: StatusError.self) { try await send("PUT", scale, type: "application/json") }
    #expect(error?.code == 409)
    #expect(try await replicas == 3)
  }

  @Test("a Scale in protobuf is read as current client libraries write it", arguments: [UInt64(7), 0])
  func protobuf(count: UInt64) async throws {
    let version = try await send("GET")[at: "metadata.resourceVersion"]?.string ?? ""
    let body = ProtobufBytes.body("autoscaling/v1", "Scale") { scale in
      scale.message(1) { metadata in
        metadata.text(1, "cart")
        metadata.text(3, "shop")
        metadata.text(6, version)
      }
      scale.message(2) { $0.number(1, count) }
      scale.message(3) { status in
        status.number(1, 0)
        status.text(2, "app=cart")
      }
    }
    let request = APIRequest(
      method: "PUT", path: "/apis/apps/v1/namespaces/shop/deployments/cart/scale", query: "",
      accept: "application/vnd.kubernetes.protobuf,application/json", contentType: ProtobufBody.mediaType, body: body)
    _ = try await fixture.api.answer(request)
    #expect(try await replicas == .integer(Int64(count)))
  }

  @Test("replicas below zero are refused", arguments: [JSONValue.integer(-1), "many"])
  func refused(count: JSONValue) async throws {
    let error = await #expect(throws: StatusError.self) { try await send("PATCH", ["spec": ["replicas": count]]) }
    #expect([400, 422].contains(error?.code))
    #expect(try await replicas == 2)
  }
}
