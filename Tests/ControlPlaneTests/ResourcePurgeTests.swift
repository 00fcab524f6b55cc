import APIModel
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

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
