import APIModel
import ReplModel
import ReplicationEngine
import Synchronization
import Testing

@testable import ControlPlane

private let migrated = "Successful Resource migrated successfully"

@Suite("Objects of a Migration at the other cluster")
struct ResourceMigrationTests {
  @Test("Objects arrive prepared and marked, in a namespace made like the one they come from")
  func arrival() async throws {
    let sites = try await MigrationFixture()
    _ = try await sites.east.store.update(.namespace, namespace: "", name: "shop", part: .whole, dryRun: false) {
      old in
      var new = old
      new.setMap("labels", old.labels.merging(["team": "sales"]) { $1 })
      return new
    }
    try await sites.deployment("web")
    try await sites.make(.configMap, "settings", ["data": ["k": "v"]])
    try await sites.make(.secret, "password", ["data": ["p": "cHc="]])
    #expect(
      try await sites.run() == [
        "ConfigMap/settings: \(migrated)", "Deployment/web: \(migrated)", "Secret/password: \(migrated)",
      ])
    let web = try await sites.arrived(.deployment, "web")
    #expect(web.spec["replicas"] == 0 && web.annotations["stork.libopenstorage.org/migrationReplicas"] == "3")
    #expect(web.annotations["repl-agent/migrated-from"] == "east")
    #expect(try await sites.arrived(.configMap, "settings").json[at: "data.k"] == "v")
    #expect(try await sites.arrived(.namespace, "shop").labels["team"] == "sales")
  }

  @Test("A result names group, version and kind as the status shows them")
  func resultFields() async throws {
    let sites = try await MigrationFixture()
    try await sites.deployment("web")
    try await sites.make(.configMap, "settings")
    let results = try await sites.migrator.run(sites.request()).results
    let core = try #require(results.first { $0.kind == "ConfigMap" })
    #expect(core.group == "core" && core.version == "v1" && core.namespace == "shop")
    let apps = try #require(results.first { $0.kind == "Deployment" })
    #expect(apps.group == "apps" && apps.version == "v1")
  }

  @Test("What did not change is not written again; what did is changed in place")
  func inPlace() async throws {
    let sites = try await MigrationFixture()
    try await sites.make(.configMap, "settings", ["data": ["k": "v"]])
    _ = try await sites.run()
    let first = try await sites.arrived(.configMap, "settings")
    sites.east.clock.advance(60)
    #expect(try await sites.run() == ["ConfigMap/settings: \(migrated)"])
    #expect(try await sites.arrived(.configMap, "settings") == first)
    _ = try await sites.east.store.update(
      .configMap, namespace: "shop", name: "settings", part: .main, dryRun: false
    ) { old in
      var new = old
      new.json["data"] = ["other": "w"]
      return new
    }
    _ = try await sites.run()
    let second = try await sites.arrived(.configMap, "settings")
    #expect(second.uid == first.uid && second.json["data"] == ["other": "w"])
  }

  @Test("An object of the receiver's own, or of another cluster, is never overwritten")
  func foreignObjects() async throws {
    let sites = try await MigrationFixture()
    try await sites.west.namespace("shop")
    try await sites.make(.configMap, "own", in: sites.west, ["data": ["k": "mine"]])
    try await sites.make(
      .configMap, "other", in: sites.west, ["metadata.annotations": ["repl-agent/migrated-from": "north"]])
    // A sender's word about where it comes from counts for nothing.
    try await sites.make(
      .configMap, "own",
      ["data": ["k": "v"], "metadata.annotations": ["repl-agent/migrated-from": "west"]])
    try await sites.make(.configMap, "other")
    let results = try await sites.run()
    #expect(results.allSatisfy { $0.contains(": Failed ") && $0.contains("not overwritten") } && results.count == 2)
    #expect(results[0].contains("came from north"))
    #expect(try await sites.arrived(.configMap, "own").json[at: "data.k"] == "mine")
  }

  @Test("Without resources only volumes and claims travel")
  func volumesOnly() async throws {
    let sites = try await MigrationFixture()
    let (report, run) = try await sites.volume("db")
    try await sites.deployment("web")
    #expect(
      try await sites.run(["includeResources": false], volumes: [run]) == [
        "PersistentVolume/pv-\(report.id): \(migrated)", "PersistentVolumeClaim/db: \(migrated)",
      ])
    #expect(await sites.isMissing(.deployment, "web"))
  }

  @Test("A volume arrives bound and standby, at the receiver's own path")
  func standby() async throws {
    let sites = try await MigrationFixture()
    let (report, run) = try await sites.volume("db", path: "/west/db.img")
    _ = try await sites.run(volumes: [run])
    let volume = try await sites.arrived(.persistentVolume, "pv-\(report.id)")
    let claim = try await sites.arrived(.persistentVolumeClaim, "db")
    #expect(volume.json[at: "spec.local.path"] == "/west/db.img")
    #expect(volume.json[at: "spec.claimRef.uid"]?.string == claim.uid)
    #expect(volume.status["phase"] == "Bound" && volume.status["reason"] == "standby")
    #expect(volume.annotations["repl-agent/standby"] == "true")
    #expect(volume.annotations["repl-agent/volume-id"] == report.id)
    #expect(claim.status["phase"] == "Bound" && claim.spec["volumeName"]?.string == volume.name)
    #expect(claim.annotations["repl-agent/standby"] == "true" && claim.labels == ["app": "db"])
    // Again: nothing is written.
    sites.east.clock.advance(60)
    _ = try await sites.run(volumes: [run])
    #expect(try await sites.arrived(.persistentVolume, volume.name) == volume)
    #expect(try await sites.arrived(.persistentVolumeClaim, "db") == claim)
  }

  @Test("A claim whose volume is not held here fails, and says so")
  func volumeNotHeld() async throws {
    let sites = try await MigrationFixture()
    let (_, run) = try await sites.volume("db", held: false)
    let results = try await sites.run(volumes: [run])
    #expect(results.count == 2 && results.allSatisfy { $0.contains("Failed no recovery point") })
    #expect(await sites.isMissing(.persistentVolumeClaim, "db"))
  }

  @Test("A claim of the receiver's own keeps its volume")
  func foreignClaim() async throws {
    let sites = try await MigrationFixture()
    let (report, run) = try await sites.volume("db")
    try await sites.west.namespace("shop")
    try await sites.make(
      .persistentVolumeClaim, "db", in: sites.west, ["spec.resources.requests.storage": "1Gi"])
    let results = try await sites.run(volumes: [run])
    #expect(results.count == 2 && results.allSatisfy { $0.contains("Failed") && $0.contains("not overwritten") })
    #expect(try await sites.arrived(.persistentVolumeClaim, "db").spec["volumeName"] == nil)
    // No volume is reserved for it either: the claim would be bound to it.
    #expect(await sites.isMissing(.persistentVolume, "pv-\(report.id)"))
  }

  @Test("The claim of a volume that was made anew is bound to the new one; the old volume object stays")
  func volumeMadeAnew() async throws {
    let sites = try await MigrationFixture()
    let (old, first) = try await sites.volume("db")
    _ = try await sites.run(volumes: [first])
    let id = try #require(VolumeID(old.id))
    try await sites.eastEngine.deleteVolume(id, data: true)
    try await VolumeObjects(store: sites.east.store).remove(old)
    let (new, second) = try await sites.volume("db")
    let results = try await sites.run(volumes: [second])
    #expect(results.allSatisfy { $0.hasSuffix(migrated) })
    #expect(try await sites.arrived(.persistentVolumeClaim, "db").spec["volumeName"]?.string == "pv-\(new.id)")
    #expect(try await sites.arrived(.persistentVolume, "pv-\(old.id)").json[at: "spec.claimRef.name"] == "db")
  }

  @Test("startApplications makes the volumes live and the applications run")
  func startApplications() async throws {
    let sites = try await MigrationFixture()
    let (report, run) = try await sites.volume("db")
    try await sites.deployment("web")
    let results = try await sites.run(["startApplications": true], volumes: [run])
    #expect(results.allSatisfy { $0.hasSuffix(migrated) } && results.count == 3)
    let promotions = await sites.westEngine.promotions
    #expect(promotions.map(\.volume) == [report.id] && promotions.map(\.point) == [FakeService.point.id])
    #expect(promotions.map(\.cluster) == ["east"])
    #expect(try await sites.arrived(.deployment, "web").spec["replicas"] == 3)
    let volume = try await sites.arrived(.persistentVolume, "pv-\(report.id)")
    #expect(volume.annotations["repl-agent/standby"] == nil && volume.status["reason"] == nil)
    #expect(try await sites.arrived(.persistentVolumeClaim, "db").annotations["repl-agent/standby"] == nil)
  }

  @Test("Applications do not start on a volume that could not be made live")
  func promotionFails() async throws {
    let sites = try await MigrationFixture()
    let (report, run) = try await sites.volume("db")
    try await sites.deployment("web")
    try await sites.make(.configMap, "settings")
    await sites.westEngine.failPromoting(ReplError(.noSpace, subject: "pool", cause: "is full"))
    let results = try await sites.run(["startApplications": true], volumes: [run])
    #expect(results[0] == "ConfigMap/settings: \(migrated)")
    #expect(results[1] == "Deployment/web: Failed is not started: pool: is full")
    #expect(results[2] == "PersistentVolume/pv-\(report.id): Failed is not live: pool: is full")
    #expect(try await sites.arrived(.deployment, "web").spec["replicas"] == 0)
    #expect(
      try await sites.arrived(.persistentVolume, "pv-\(report.id)").annotations["repl-agent/standby"] == "true")
    // The next run succeeds and starts them.
    await sites.westEngine.failPromoting(nil)
    _ = try await sites.run(["startApplications": true], volumes: [run])
    #expect(try await sites.arrived(.deployment, "web").spec["replicas"] == 3)
  }

  @Test("A group goes live whole or not at all: all volumes are checked before the first is touched")
  func groupIsChecked() async throws {
    let sites = try await MigrationFixture()
    let (_, first) = try await sites.volume("a")
    let (second, other) = try await sites.volume("b")
    try await sites.deployment("web")
    await sites.westEngine.refusePromotion(
      of: second.id, ReplError(.exists, subject: "/west/b.img", cause: "is there already"))
    let results = try await sites.run(["startApplications": true], volumes: [first, other])
    #expect(results.count == 5 && results.allSatisfy { $0.contains("/west/b.img: is there already") })
    #expect(await sites.westEngine.promotions.isEmpty)
    await sites.westEngine.refusePromotion(of: second.id, nil)
    _ = try await sites.run(["startApplications": true], volumes: [first, other])
    #expect(await sites.westEngine.promotions.count == 2)
  }

  @Test("A group that went live in part is finished by sending the document again")
  func groupInPart() async throws {
    let sites = try await MigrationFixture()
    var runs: [VolumeRunReport] = []
    for name in ["a", "b"] { runs.append(try await sites.volume(name).1) }
    let last = try #require(runs.map(\.volume).max())
    try await sites.deployment("web")
    await sites.westEngine.failPromotion(of: last, ReplError(.noSpace, subject: "pool", cause: "is full"))
    do throws(ReplError) {
      _ = try await sites.migrator.run(sites.request(["startApplications": true], volumes: runs))
      Issue.record("half a group was left behind")
    } catch { #expect(error.kind == .transient && error.cause == "is full") }
    #expect(await sites.isMissing(.deployment, "web"))
    await sites.westEngine.failPromotion(of: last, nil)
    let results = try await sites.run(["startApplications": true], volumes: runs)
    #expect(results.allSatisfy { $0.hasSuffix(migrated) })
    #expect(await sites.westEngine.promotions.count == 2)
    #expect(try await sites.arrived(.deployment, "web").spec["replicas"] == 3)
  }

  @Test("Applications do not start on volumes that this Migration has not shipped and that are not live")
  func startWithoutVolumes() async throws {
    let sites = try await MigrationFixture()
    let (report, run) = try await sites.volume("db")
    try await sites.deployment("web")
    let results = try await sites.run(["startApplications": true, "includeVolumes": false])
    #expect(results.count == 3 && results.allSatisfy { $0.contains("Failed") && $0.contains("is standby here") })
    #expect(await sites.westEngine.promotions.isEmpty)
    #expect(try await sites.arrived(.deployment, "web").spec["replicas"] == 0)
    // Once the volume is live they do.
    _ = try await sites.run(["startApplications": true], volumes: [run])
    _ = try await sites.run(["startApplications": true, "includeVolumes": false])
    #expect(try await sites.arrived(.deployment, "web").spec["replicas"] == 3)
    #expect(await sites.westEngine.promotions.map(\.volume) == [report.id])
  }

  @Test("More objects than one document holds arrive all")
  func batches() async throws {
    let objects = (0..<2_500).map { number in
      TravellingObject(object: ResourceKind.configMap.object(namespace: "shop", name: "c\(number)"))
    }
    #expect(ResourceMigrator.batches(objects).batches.map(\.count) == [1_000, 1_000, 500])
    var large = objects[0]
    large.object.json[at: "data.k"] = .string(String(repeating: "x", count: 1_500_000))
    #expect(ResourceMigrator.batches([large, large, objects[1]]).batches.map(\.count) == [1, 2])
    large.object.json[at: "data.k"] = .string(String(repeating: "x", count: 5_000_000))
    let (batches, failed) = ResourceMigrator.batches([large])
    #expect(batches.isEmpty && failed.first?.status == "Failed")
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
      try await sites.make(.configMap, name, ["data.k": .string(String(repeating: "x", count: 1_500_000))])
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
    #expect(outcome.results.map(\.status) == ["Successful"])
    #expect(outcome.purgeFailure?.contains("out of order") == true)
  }

  @Test("An object as deeply nested as the API takes does not stop the others")
  func deepObject() async throws {
    let sites = try await MigrationFixture()
    var value: JSONValue = "deep"
    for _ in 0..<JSONParser.defaultDepth - 4 { value = ["d": value] }
    try await sites.make(.configMap, "deep", ["data": value])
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
    #expect(results.first?.status == "Failed" && results.first?.reason.contains("not one of the Migration") == true)
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
    #expect(refused.allSatisfy { $0.status == "Failed" && $0.reason.contains("acceptClusterResources") })
    // Another cluster's pair changes nothing.
    try await sites.pairOfWest(options: ["acceptClusterResources": "true"], cluster: "north")
    #expect(try await apply(sites, objects, namespaces: ["kube-system"]).allSatisfy { $0.status == "Failed" })
    #expect(
      try await apply(sites, objects, namespaces: ["kube-system"], cluster: "north")
        .allSatisfy { $0.status == "Successful" })
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
    #expect(results.count == objects.count && results.allSatisfy { $0.status == "Failed" && !$0.reason.isEmpty })
    #expect(await sites.isMissing(.persistentVolume, "pv"))
  }

  @Test("Objects larger than the API takes are refused, whoever sends them")
  func size() async throws {
    let sites = try await MigrationFixture()
    var object = ResourceKind.configMap.object(namespace: "shop", name: "x")
    object.json[at: "data.k"] = .string(String(repeating: "x", count: APIRequest.maximumBody))
    let result = try #require(try await apply(sites, [object]).first)
    #expect(result.status == "Failed" && result.reason.contains("an object may have"))
    #expect(await sites.isMissing(.configMap, "x"))
  }

  @Test("Finalizers, owners and marks that a sender invents do not arrive")
  func metadata() async throws {
    let sites = try await MigrationFixture()
    var object = ResourceKind.configMap.object(namespace: "shop", name: "x")
    object.json[at: "metadata.finalizers"] = ["keep.me/for-ever"]
    object.json[at: "metadata.ownerReferences"] = [["kind": "ConfigMap", "name": "y", "uid": "u"]]
    object.json[at: "metadata.annotations"] = ["repl-agent/migrated-from": "north", "repl-agent/volume-id": "v"]
    #expect(try await apply(sites, [object]).first?.status == "Successful")
    let stored = try await sites.arrived(.configMap, "x")
    #expect(stored.finalizers.isEmpty && stored.metadata["ownerReferences"] == nil)
    #expect(stored.annotations == ["repl-agent/migrated-from": "east"])
  }

  @Test("Names that are no names are refused by the store's own rules")
  func names() async throws {
    let sites = try await MigrationFixture()
    for name in ["../etc", "A", "", String(repeating: "a", count: 300)] {
      let object = ResourceKind.configMap.object(namespace: "shop", name: name)
      #expect(try await apply(sites, [object]).first?.status == "Failed")
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

@Suite("Objects that are gone at the source")
struct ResourcePurgeTests {
  private let purging: [String: JSONValue] = ["purgeDeletedResources": true]

  private func remove(_ sites: MigrationFixture, _ kind: ResourceKind, _ name: String) async throws {
    _ = try await sites.east.store.delete(kind, namespace: "shop", name: name, options: DeleteOptions())
  }

  @Test("Only with purgeDeletedResources, and only what came from that cluster")
  func purge() async throws {
    let sites = try await MigrationFixture()
    try await sites.make(.configMap, "old")
    try await sites.make(.configMap, "kept")
    _ = try await sites.run()
    try await sites.make(.configMap, "own", in: sites.west)
    try await sites.make(
      .configMap, "north", in: sites.west,
      ["metadata.annotations": ["repl-agent/migrated-from": "north", "stork.libopenstorage.org/migrated": "true"]])
    try await remove(sites, .configMap, "old")
    #expect(try await sites.run() == ["ConfigMap/kept: \(migrated)"])
    #expect(await !sites.isMissing(.configMap, "old"))
    let results = try await sites.run(purging)
    #expect(results == ["ConfigMap/kept: \(migrated)", "ConfigMap/old: Purged Resource purged"])
    #expect(await sites.isMissing(.configMap, "old"))
    for name in ["kept", "own", "north"] { #expect(await !sites.isMissing(.configMap, name)) }
  }

  @Test("Objects that this Migration leaves out are not gone")
  func leftOut() async throws {
    let sites = try await MigrationFixture()
    try await sites.make(.configMap, "a", ["metadata.labels": ["app": "a"]])
    try await sites.make(.configMap, "b")
    _ = try await sites.run()
    _ = try await sites.run(purging.merging(["selectors": ["app": "a"]]) { $1 })
    _ = try await sites.run(purging.merging(["excludeResourceTypes": ["ConfigMap"]]) { $1 })
    for name in ["a", "b"] { #expect(await !sites.isMissing(.configMap, name)) }
  }

  @Test("Volumes and claims are never purged, and neither are accounts")
  func data() async throws {
    let sites = try await MigrationFixture()
    let (report, run) = try await sites.volume("db")
    try await sites.make(.serviceAccount, "shop")
    _ = try await sites.run(volumes: [run])
    try await VolumeObjects(store: sites.east.store).remove(report)
    try await remove(sites, .serviceAccount, "shop")
    #expect(try await sites.run(purging).isEmpty)
    #expect(await !sites.isMissing(.persistentVolumeClaim, "db"))
    #expect(await !sites.isMissing(.persistentVolume, "pv-\(report.id)"))
    #expect(await !sites.isMissing(.serviceAccount, "shop"))
    #expect(await sites.westEngine.deletions.isEmpty)
  }
}

@Suite("Copies of schedules at the other cluster")
struct ScheduleCopiesTests {
  private func schedule(_ template: JSONValue = ["spec": ["clusterPair": "west"]]) -> KubeObject {
    var schedule = ResourceKind.migrationSchedule.object(namespace: "shop", name: "nightly")
    schedule.json["spec"] = ["schedulePolicyName": "p", "suspend": false, "template": template]
    schedule.json["status"] = ["items": ["Daily": []], "applicationActivated": true]
    schedule.json[at: "metadata.finalizers"] = ["stork.libopenstorage.org/finalizer-cleanup"]
    return schedule
  }

  @Test("A copy is suspended, marked and without a history, in a namespace that is made")
  func copy() async throws {
    let sites = try await MigrationFixture()
    let migrator = sites.schedules
    #expect(
      try await migrator.state(namespace: "shop", name: "nightly", pair: sites.pair)
        == PeerScheduleState(copy: .missing, applicationActivated: false))
    try await migrator.put(schedule(), pair: sites.pair)
    let copy = try await sites.arrived(.migrationSchedule, "nightly")
    #expect(copy.spec["suspend"] == true && copy.json[at: "spec.template.spec.clusterPair"] == "west")
    #expect(copy.annotations["stork.libopenstorage.org/static-copy"] == "true" && copy.finalizers.isEmpty)
    #expect(copy.annotations["stork.libopenstorage.org/resource-hash"] != nil)
    #expect(copy.status["items"] == .null && copy.status["applicationActivated"] == false)
    #expect(
      try await migrator.state(namespace: "shop", name: "nightly", pair: sites.pair)
        == PeerScheduleState(copy: .copy, applicationActivated: false))
  }

  @Test("A renewed copy has the new template and still knows that its applications are active")
  func renewal() async throws {
    let sites = try await MigrationFixture()
    try await sites.schedules.put(schedule(), pair: sites.pair)
    let first = try await sites.west.store.update(
      .migrationSchedule, namespace: "shop", name: "nightly", part: .whole, dryRun: false
    ) { old in
      var new = old
      new.json[at: "status.applicationActivated"] = true
      return new
    }
    try await sites.schedules.put(schedule(), pair: sites.pair)
    #expect(try await sites.arrived(.migrationSchedule, "nightly") == first)
    try await sites.schedules.put(schedule(["spec": ["clusterPair": "other"]]), pair: sites.pair)
    let second = try await sites.arrived(.migrationSchedule, "nightly")
    #expect(second.json[at: "spec.template.spec.clusterPair"] == "other")
    #expect(
      try await sites.schedules.state(namespace: "shop", name: "nightly", pair: sites.pair).applicationActivated)
  }

  @Test("Namespaces of the system take copies only from a peer that a pair here lets in")
  func systemNamespaces() async throws {
    let sites = try await MigrationFixture()
    for namespace in ["kube-system", "kube-public", "kube-node-lease"] {
      var wanted = schedule()
      wanted[metadata: "namespace"] = .string(namespace)
      do throws(ReplError) {
        try await sites.schedules.put(wanted, pair: sites.pair)
        Issue.record("\(namespace) took a copy")
      } catch { #expect(error.kind == .refused && error.cause.contains("acceptClusterResources")) }
    }
    #expect(await sites.isMissing(.namespace, "kube-public"))
    try await sites.pairOfWest(options: ["acceptClusterResources": true])
    var wanted = schedule()
    wanted[metadata: "namespace"] = "kube-system"
    try await sites.schedules.put(wanted, pair: sites.pair)
    #expect(await !sites.isMissing(.migrationSchedule, "nightly", namespace: "kube-system"))
  }

  @Test("A namespace made for a copy has no labels of the peer's choice")
  func bareNamespace() async throws {
    let sites = try await MigrationFixture()
    _ = try await sites.east.store.update(.namespace, namespace: "", name: "shop", part: .whole, dryRun: false) { old in
      var new = old
      new.setMap("labels", old.labels.merging(["team": "sales"]) { $1 })
      return new
    }
    try await sites.schedules.put(schedule(), pair: sites.pair)
    #expect(try await sites.arrived(.namespace, "shop").labels["team"] == nil)
  }

  @Test("Whether the applications run is told to the peer whose copy it is, and to nobody else")
  func foreignState() async throws {
    let sites = try await MigrationFixture()
    try await sites.west.namespace("shop")
    try await sites.make(
      .migrationSchedule, "nightly", in: sites.west,
      ["metadata.annotations": ["repl-agent/migrated-from": "north"], "status.applicationActivated": true])
    #expect(
      try await sites.schedules.state(namespace: "shop", name: "nightly", pair: sites.pair)
        == PeerScheduleState(copy: .foreign, applicationActivated: false))
  }

  @Test("One peer has so many copies here at most; those it has are still renewed")
  func bound() async throws {
    let sites = try await MigrationFixture()
    for number in 0..<ScheduleCopies.limit {
      var copy = ScheduleCopies.copy(of: schedule(), cluster: "east")
      copy[metadata: "name"] = .string("s\(number)")
      if number == 0 { try await sites.west.namespace("shop") }
      _ = try await sites.west.store.create(.migrationSchedule, copy, dryRun: false)
    }
    do throws(ReplError) {
      try await sites.schedules.put(schedule(), pair: sites.pair)
      Issue.record("one copy too many was taken")
    } catch { #expect(error.kind == .refused) }
    var known = schedule(["spec": ["clusterPair": "other"]])
    known[metadata: "name"] = "s7"
    try await sites.schedules.put(known, pair: sites.pair)
    #expect(try await sites.arrived(.migrationSchedule, "s7").json[at: "spec.template.spec.clusterPair"] == "other")
  }

  @Test("A schedule does not wait for its peer as long as a Migration does")
  func timeLimit() async throws {
    let sites = try await MigrationFixture()
    _ = try await sites.schedules.state(namespace: "shop", name: "nightly", pair: sites.pair)
    try await sites.make(.configMap, "a")
    _ = try await sites.run()
    let limits = sites.eastEngine.limits.withLock { $0 }
    #expect(limits == ["schedule": .seconds(10)])
  }

  @Test("A schedule of the receiver's own stands in the way and stays as it is")
  func foreign() async throws {
    let sites = try await MigrationFixture()
    try await sites.west.namespace("shop")
    try await sites.make(.migrationSchedule, "nightly", in: sites.west, ["spec.schedulePolicyName": "own"])
    #expect(
      try await sites.schedules.state(namespace: "shop", name: "nightly", pair: sites.pair).copy == .foreign)
    do throws(ReplError) {
      try await sites.schedules.put(schedule(), pair: sites.pair)
      Issue.record("a foreign schedule was overwritten")
    } catch {
      #expect(error.kind == .refused)
      #expect(
        error.cause
          == "a non static-copy migrationSchedule with the same name and namespace found in the remote cluster")
    }
    #expect(try await sites.arrived(.migrationSchedule, "nightly").spec["schedulePolicyName"] == "own")
  }
}
