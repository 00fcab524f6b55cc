import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("The agent's machine is a Node")
struct NodeObjectTests {
  @Test(
    "a node's name becomes a name that objects may have",
    arguments: [("store-1", "store-1"), ("Store_1.Example", "store-1.example"), ("-a-", "a")])
  func name(node: String, expected: String) {
    #expect(NodeObject.name(node) == expected)
  }

  @Test("it is there, is Ready, and a second start changes nothing but what changed")
  func ensured() async throws {
    let fixture = try StoreFixture()
    let service = FakeService()
    let node = NodeObject(store: fixture.store) { 1_700_000_000 }
    let report = try await service.status()
    try await node.ensure(report)
    let first = try await fixture.store.get(.node, namespace: "", name: NodeObject.name(report.node))
    #expect(first.json[at: "status.conditions"]?.array?.first?["status"] == "True")
    #expect(first.labels["kubernetes.io/os"] == "linux")
    try await node.ensure(report)
    let second = try await fixture.store.get(.node, namespace: "", name: NodeObject.name(report.node))
    #expect(second.resourceVersion == first.resourceVersion)
  }
}
