import AgentService
import APIModel
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("What a peer may have applied")
struct ReceivingRulesTests {
  /// Has the receiver apply objects that no collector of ours would send.
  private func apply(
    _ sites: MigrationFixture, _ objects: [KubeObject], namespaces: [String] = ["shop"], cluster: String = "east"
  ) async throws -> [ResourceResult] {
    let document = ResourceDocument(
      migration: ObjectName(kind: "Migration", namespace: "shop", name: "m"), startApplications: false,
      namespaces: namespaces.map { ResourceKind.namespace.object(name: $0) }, volumes: [],
      items: objects.map { TravellingObject(object: $0) })
    let body = try PeerTopic.bytes(document.json)
    return try ResourceAnswer.results(
      try await sites.receiver.answer(PeerDocument(topic: "resources", body: body), from: cluster))
  }

  @Test("Namespaces that the Migration does not name are refused")
  func otherNamespace() async throws {
    let sites = try await MigrationFixture()
    try await sites.west.namespace("bank")
    let results = try await apply(sites, [ResourceKind.configMap.object(namespace: "bank", name: "x")])
    #expect(results.first?.status == .failed && results.first?.reason.contains("not one of the Migration") == true)
    #expect(await sites.isMissing(.configMap, "x", namespace: "bank"))
  }

  @Test("Cluster-wide kinds and kube-system need the receiver's own pair to accept them")
  func clusterResources() async throws {
    let sites = try await MigrationFixture()
    try await sites.west.namespace("kube-system")
    let objects = [
      ResourceKind.storageClass.object(name: "fast"),
      ResourceKind.configMap.object(namespace: "kube-system", name: "x"),
    ]
    let refused = try await apply(sites, objects, namespaces: ["shop", "kube-system"])
    #expect(refused.allSatisfy { $0.status == .failed && $0.reason.contains("acceptClusterResources") })
    // Another cluster's pair changes nothing.
    try await sites.pairOfWest(options: ["acceptClusterResources": "true"], cluster: "north")
    #expect(try await apply(sites, objects, namespaces: ["kube-system"]).allSatisfy { $0.status == .failed })
    #expect(
      try await apply(sites, objects, namespaces: ["kube-system"], cluster: "north")
        .allSatisfy { $0.status == .successful })
  }

  @Test("The option may be a text or a boolean, and anything else is no")
  func option() async throws {
    for (value, accepted) in [("true", true), (true, true), ("TRUE", true), ("yes", false), (false, false)]
      as [(JSONValue, Bool)]
    {
      var pair = ResourceKind.clusterPair.object(namespace: "admin", name: "east")
      pair.json["spec"] = ["options": ["acceptClusterResources": value]]
      pair.json["status"] = ["remoteStorageId": "east"]
      #expect(ReceivingRules.accepts([pair], from: "east") == accepted)
    }
  }

  @Test("Volumes by path, nodes, Stork objects and unknown kinds are refused, each with a reason")
  func kinds() async throws {
    let sites = try await MigrationFixture()
    try await sites.pairOfWest(options: ["acceptClusterResources": true])
    var volume = ResourceKind.persistentVolume.object(name: "pv")
    volume.json["spec"] = ["local": ["path": "/etc/shadow"], "capacity": ["storage": "1Gi"]]
    let objects = [
      volume, ResourceKind.node.object(name: "n"), ResourceKind.clusterPair.object(namespace: "shop", name: "p"),
      ResourceKind.migration.object(namespace: "shop", name: "m"),
      KubeObject(apiVersion: "v1", kind: "Pod", namespace: "shop", name: "p"), KubeObject([:]),
    ]
    let results = try await apply(sites, objects)
    #expect(results.count == objects.count && results.allSatisfy { $0.status == .failed && !$0.reason.isEmpty })
    #expect(await sites.isMissing(.persistentVolume, "pv"))
  }

  @Test("Objects larger than the API takes are refused, whoever sends them")
  func size() async throws {
    let sites = try await MigrationFixture()
    var object = ResourceKind.configMap.object(namespace: "shop", name: "x")
    object.json[at: "data.k"] = .string(String(repeating: "x", count: ObjectLimits.bytes))
    let result = try #require(try await apply(sites, [object]).first)
    #expect(result.status == .failed && result.reason.contains("an object may have"))
    #expect(await sites.isMissing(.configMap, "x"))
  }

  @Test("Finalizers, owners and marks that a sender invents do not arrive")
  func metadata() async throws {
    let sites = try await MigrationFixture()
    var object = ResourceKind.configMap.object(namespace: "shop", name: "x")
    object.json[at: "metadata.finalizers"] = ["keep.me/for-ever"]
    object.json[at: "metadata.ownerReferences"] = [["kind": "ConfigMap", "name": "y", "uid": "u"]]
    object.json[at: "metadata.annotations"] = ["repl-agent/migrated-from": "north", "repl-agent/volume-id": "v"]
    #expect(try await apply(sites, [object]).first?.status == .successful)
    let stored = try await sites.arrived(.configMap, "x")
    #expect(stored.finalizers.isEmpty && stored.metadata["ownerReferences"] == nil)
    #expect(stored.annotations == ["repl-agent/migrated-from": "east"])
  }

  @Test("Names that are no names are refused by the store's own rules")
  func names() async throws {
    let sites = try await MigrationFixture()
    for name in ["../etc", "A", "", String(repeating: "a", count: 300)] {
      let object = ResourceKind.configMap.object(namespace: "shop", name: name)
      #expect(try await apply(sites, [object]).first?.status == .failed)
    }
  }

  @Test("Bytes that are no document are refused")
  func garbage() async throws {
    let sites = try await MigrationFixture()
    for (topic, body) in [
      ("resources", "{"), ("resources", "[]"), ("resources", #"{"version":2}"#),
      ("resources", #"{"version":1,"volumes":[{"volume":"x"}]}"#),
      ("resources", #"{"version":1,"existing":["a/b"]}"#), ("schedule", #"{"version":1}"#),
      ("schedule", #"{"version":1,"operation":"put","schedule":{"kind":"Secret"}}"#), ("weather", "{}"),
    ] {
      await #expect(throws: ReplError.self, "\(body)") {
        try await sites.receiver.answer(PeerDocument(topic: topic, body: Array(body.utf8)), from: "east")
      }
    }
  }
}
