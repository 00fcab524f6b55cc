import APIModel
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

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
}
