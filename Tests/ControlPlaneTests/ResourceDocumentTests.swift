import AgentService
import APIModel
import ReplModel
import ReplicationEngine
import Synchronization
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("Documents of a Migration, and what comes of each object in them")
struct ResourceDocumentTests {
  @Test("More objects than one document holds arrive all")
  func batches() async throws {
    let objects = (0..<2_500).map { number in
      TravellingObject(object: ResourceKind.configMap.object(namespace: "shop", name: "c\(number)"))
    }
    #expect(Self.batches(objects).map(\.items.count) == [1_000, 1_000, 500])
    var large = objects[0]
    large.object.json[at: "data.k"] = .string(String(repeating: "x", count: 1 << 20))
    #expect(Self.batches([large, large, objects[1]]).map(\.items.count) == [1, 2])
    large.object.json[at: "data.k"] = .string(String(repeating: "x", count: 5_000_000))
    let tooLarge = Self.batches([large])
    #expect(tooLarge.map(\.items.count) == [0] && tooLarge.first?.failed.first?.status == .failed)
  }

  /// The documents that objects travel in.
  private static func batches(_ objects: [TravellingObject]) -> [ResourceBatch] {
    var batches = [ResourceBatch()]
    for object in objects where !batches[batches.count - 1].take(object) {
      var next = ResourceBatch()
      let isTaken = next.take(object)
      #expect(isTaken, "what the document before did not take is for this one")
      batches.append(next)
    }
    return batches
  }

  @Test("The documents of a Migration are made one after the other, and what is gone by then does not travel")
  func readWhenSent() async throws {
    let sites = try await MigrationFixture()
    let text = JSONValue.string(String(repeating: "x", count: 900_000))
    for number in 0..<5 { try await sites.make(.configMap, "c\(number)", ["data": ["k": text]]) }
    let collector = ResourceCollector(
      store: sites.east.store,
      preparation: ResourcePreparation(
        wishes: ResourceWishes(MigrationFixture.migration()), migrationName: "m", migrationNamespace: "shop", now: 0))
    let chosen = try await collector.choose(namespaces: ["shop"])
    #expect(chosen.count == 5)
    #expect(chosen.allSatisfy { $0.item.object.json["data"] == nil }, "what is in them is not held")
    #expect(try await collector.read(chosen[4])?.object.json[at: "data.k"] == text)
    _ = try await sites.east.store.delete(.configMap, namespace: "shop", name: "c4", options: DeleteOptions())
    #expect(try await collector.read(chosen[4]) == nil)
    #expect(try await sites.run().count == 4)
  }

  @Test("A document whose time is over makes nothing more live and purges nothing more")
  func timeIsOver() async throws {
    let sites = try await MigrationFixture()
    let (_, run) = try await sites.volume("db")
    try await sites.make(.configMap, "old")
    _ = try await sites.run()
    _ = try await sites.east.store.delete(.configMap, namespace: "shop", name: "old", options: DeleteOptions())
    let rules = ReceivingRules(cluster: "east", acceptsClusterResources: false, namespaces: ["shop"])
    let applier = VolumeApplier(
      store: sites.west.store, service: sites.westEngine,
      applier: ResourceApplier(store: sites.west.store, rules: rules), held: await sites.westEngine.held,
      cluster: "east")
    let document = ResourceDocument(
      migration: ObjectName(kind: "Migration", namespace: "shop", name: "m"), startApplications: true, namespaces: [],
      volumes: ResourceMigrator.volumes([], [run]), items: [])
    let purge = ResourcePurge(store: sites.west.store, rules: rules)
    let over = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      await #expect(throws: ReplError.self) { try await applier.promote(document) }
      await #expect(throws: ReplError.self) { try await purge.run(existing: []) }
    }
    await over.value
    #expect(await sites.westEngine.promotions.isEmpty)
    #expect(await !sites.isMissing(.configMap, "old"))
  }

  @Test("A field that may not change makes the object anew, if it came from that cluster")
  func immutableFields() async throws {
    let sites = try await MigrationFixture()
    try await sites.make(.deployment, "web", ["spec": ["selector": ["matchLabels": ["app": "a"]], "template": [:]]])
    _ = try await sites.run()
    let first = try await sites.arrived(.deployment, "web")
    _ = try await sites.east.store.delete(.deployment, namespace: "shop", name: "web", options: DeleteOptions())
    try await sites.make(.deployment, "web", ["spec": ["selector": ["matchLabels": ["app": "b"]], "template": [:]]])
    #expect(try await sites.run() == ["Deployment/web: \(migrated)"])
    let second = try await sites.arrived(.deployment, "web")
    #expect(second.uid != first.uid && second.json[at: "spec.selector.matchLabels.app"] == "b")
    // One of the receiver's own stays.
    try await sites.make(.secret, "s", ["type": "a"])
    try await sites.make(.secret, "s", in: sites.west, ["type": "b"])
    #expect(try await sites.run().contains { $0.hasPrefix("Secret/s: Failed") })
    #expect(try await sites.arrived(.secret, "s").json["type"] == "b")
  }

  @Test("What a peer does not answer for has failed, and what it was not asked for is left out")
  func unanswered() {
    let items = ["a", "b"].map {
      TravellingObject(object: ResourceKind.configMap.object(namespace: "shop", name: $0))
    }
    let answers =
      [ResourceResult.migrated(items[1].object)] + [
        .migrated(ResourceKind.secret.object(namespace: "shop", name: "a")),
        .migrated(ResourceKind.configMap.object(namespace: "bank", name: "a")),
      ]
    let matched = ResourceMigrator.matched(answers, to: items)
    #expect(matched == [.failed(items[0].object, "the peer did not answer for it"), .migrated(items[1].object)])
  }

  @Test("A refusal after some objects were applied fails only what it concerns")
  func laterRefusal() async throws {
    let sites = try await MigrationFixture()
    for name in ["a", "b"] {
      try await sites.make(.configMap, name, ["data.k": .string(String(repeating: "x", count: 1 << 20))])
    }
    let west = sites.receiver
    let flaky = FlakyPeer(west, failing: [1])
    sites.eastEngine.peer.withLock { $0 = (flaky, "east") }
    let results = try await sites.run()
    #expect(results.count == 2 && results[0] == "ConfigMap/a: \(migrated)")
    #expect(results[1].hasPrefix("ConfigMap/b: Failed ") && results[1].contains("out of order"))
    // Nothing applied yet: the Migration as a whole is refused.
    sites.eastEngine.peer.withLock { $0 = (FlakyPeer(west, failing: [0]), "east") }
    await #expect(throws: ReplError.self) { try await sites.run() }
  }

  @Test("A failed purge leaves the results as they are")
  func purgeRefused() async throws {
    let sites = try await MigrationFixture()
    try await sites.make(.configMap, "a")
    sites.eastEngine.peer.withLock { $0 = (FlakyPeer(sites.receiver, failing: [1]), "east") }
    let outcome = try await sites.migrator.run(sites.request(["purgeDeletedResources": true]))
    #expect(outcome.results.map(\.status) == [.successful])
    #expect(outcome.purgeFailure?.contains("out of order") == true)
  }

  @Test("A document of nothing but small values is refused before it takes the memory of all of them")
  func manyValues() {
    let zeros = "[" + Array(repeating: "0", count: PeerTopic.values).joined(separator: ",") + "]"
    let error = #expect(throws: ReplError.self) {
      try ResourceDocument(Array(("{\"version\":1,\"items\":" + zeros + "}").utf8))
    }
    #expect(error?.cause.contains("\(PeerTopic.values) values") == true)
  }

  @Test("An object as deeply nested as the API takes does not stop the others")
  func deepObject() async throws {
    let sites = try await MigrationFixture()
    var value: JSONValue = "deep"
    for _ in 0..<JSONParser.defaultDepth - 4 { value = ["d": value] }
    try await sites.make(.configMap, "deep", ["extra": value])
    try await sites.make(.configMap, "flat")
    #expect(try await sites.run() == ["ConfigMap/deep: \(migrated)", "ConfigMap/flat: \(migrated)"])
  }

  @Test("A peer that cannot be reached is an error to try again after")
  func peerGone() async throws {
    let sites = try await MigrationFixture()
    try await sites.deployment("web")
    sites.eastEngine.peer.withLock { $0 = nil }
    do throws(ReplError) {
      _ = try await sites.migrator.run(sites.request())
      Issue.record("nothing was thrown")
    } catch { #expect(error.kind == .transient) }
  }
}

/// A peer that refuses some of the documents it gets, by their number.
private final class FlakyPeer: PeerDocumentResponder {
  private let peer: any PeerDocumentResponder
  private let failing: Set<Int>
  private let count = Mutex(0)

  init(_ peer: any PeerDocumentResponder, failing: Set<Int>) {
    self.peer = peer
    self.failing = failing
  }

  func answer(_ document: PeerDocument, from cluster: String) async throws(ReplError) -> [UInt8] {
    let number = count.withLock { count in
      defer { count += 1 }
      return count
    }
    if failing.contains(number) { throw ReplError(.io, subject: "peer", cause: "out of order") }
    return try await peer.answer(document, from: cluster)
  }
}
