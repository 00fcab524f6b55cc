import AgentService
import APIModel
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("Applications that start at the other cluster, and their volumes that go live")
struct MigrationPromotionTests {
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
}
