import APIModel
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("Volumes and claims of a Migration at the other cluster")
struct MigratedVolumeTests {
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
}
