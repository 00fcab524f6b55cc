import APIModel
import Foundation
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("What a Migration touches, and when")
struct MigrationScopeTests {
  private func world(_ spec: [String: JSONValue] = [:]) async throws -> ScheduleWorld {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await make(world, spec)
    return world
  }

  private func make(_ world: ScheduleWorld, _ more: [String: JSONValue] = [:]) async throws {
    var spec: JSONValue = ["clusterPair": "remotecluster", "namespaces": ["mysql"]]
    for (key, value) in more { spec[key] = value }
    try await world.create(.migration, "mysql", "m", ["spec": spec])
  }

  private func status(_ world: ScheduleWorld) async throws -> JSONValue {
    try await world.object(.migration, "m").status
  }

  /// More answers that do not come than the controllers look once for before they come to rest.
  private let noAnswer = Array(repeating: ReplError(.transient, subject: "peer", cause: "no answer"), count: 8)

  private func label(_ world: ScheduleWorld, _ namespace: String) async throws {
    try await world.change(.namespace, namespace, "metadata.labels", ["app": "mysql"])
  }

  @Test("namespaces that begin to match a selector later are not taken along")
  func laterLabels() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.fixture.namespace("bank")
    try await label(world, "mysql")
    try await make(world, ["namespaces": [], "namespaceSelectors": ["app": "mysql"]])
    world.resources.fail(noAnswer)
    try await world.settle()
    #expect(try await status(world)["stage"] == "Applications")
    #expect(try await status(world)["namespaces"] == ["mysql"])
    try await label(world, "bank")
    world.restart()
    try await world.run(seconds: 30)
    #expect(try await status(world)["status"] == "Successful")
    #expect(world.resources.requests.allSatisfy { $0.namespaces == ["mysql"] })
  }

  @Test("a status that names other namespaces than the rule allows is not followed", arguments: [true, false])
  func foreignStatus(_ recorded: Bool) async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.fixture.namespace("bank")
    for name in ["mysql", "bank"] { try await label(world, name) }
    let names: JSONValue = recorded ? ["mysql", "bank"] : .null
    try await world.create(
      .migration, "mysql", "m",
      [
        "spec": ["clusterPair": "remotecluster", "namespaceSelectors": ["app": "mysql"]],
        "status": ["stage": "Volumes", "status": "Pending", "namespaces": names],
      ])
    try await world.settle()
    #expect(world.resources.requests.map(\.namespaces) == [["mysql"]])
  }

  @Test("volumes and objects are chosen by the same labels and annotations")
  func oneSelection() async throws {
    for skip in [Stork.skipResource, MigrationMark.oldSkipResource] {
      let world = try await ScheduleWorld()
      try await world.prepare()
      try await world.change(.persistentVolumeClaim, "data", "metadata.annotations", .object([skip: "True"]))
      try await make(world)
      try await world.settle()
      #expect(await world.service.started.isEmpty)
      #expect(try await status(world)["volumes"] == [])
    }
  }

  @Test("an admin pair to the same cluster is as good as the pair itself; one to another is refused")
  func adminPair() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    let pair: [String: JSONValue] = ["spec": ["options": ["ip": "h", "token": .string(FakeService.token)]]]
    try await world.create(.clusterPair, "kube-system", "admin", pair)
    try await world.settle()
    try await make(world, ["adminClusterPair": "admin"])
    try await world.settle()
    #expect(try await status(world)["status"] == "Successful")
    try await world.create(.clusterPair, "kube-system", "elsewhere", ["status": ["remoteStorageId": "third"]])
    try await world.create(
      .migration, "mysql", "n",
      ["spec": ["clusterPair": "remotecluster", "namespaces": ["mysql"], "adminClusterPair": "elsewhere"]])
    try await world.settle()
    let refused = try await world.object(.migration, "n").status
    #expect(refused["status"] == "Failed")
    #expect(refused["reason"]?.string?.contains("leads to cluster third") == true)
  }

  @Test("a peer that is away for long and then fails once does not fail the Migration")
  func longOutage() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await make(world)
    world.resources.fail(noAnswer)
    try await world.settle()
    await world.service.setReady(false, reason: "no heartbeat")
    try await world.run(seconds: 600, step: 60)
    #expect(try await status(world)["stage"] == "Applications")
    #expect(try await status(world)["reason"]?.string?.contains("scheduler Cluster pair is not ready") == true)
    world.resources.fail(Array(noAnswer.prefix(1)))
    await world.service.setReady(true)
    try await world.run(seconds: 120)
    #expect(try await status(world)["status"] == "Successful")
  }

  @Test("an outcome with a failed purge is a partial success, and the status is final")
  func purgeFailure() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    world.resources.answer([FakeResources.result("ConfigMap", "a", "Successful")], purgeFailure: "peer: disk is full")
    try await make(world)
    try await world.settle()
    let final = try await status(world)
    #expect(final["stage"] == "Final" && final["status"] == "PartialSuccess")
    #expect(final["reason"] == "Error cleaning up resources: peer: disk is full")
    #expect(final["resources"]?.array?.count == 1)
    #expect(
      try await world.told("m").contains("Warning/PartialSuccess/Error cleaning up resources: peer: disk is full"))
  }

  @Test("of more objects than a status can hold the failures are kept, and the summary counts all")
  func manyResults() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    let good = (0..<1_500).map { FakeResources.result("ConfigMap", "c\($0)", "Successful") }
    world.resources.answer(good + [FakeResources.result("Secret", "last", "Failed", "no")])
    try await make(world)
    try await world.settle()
    let final = try await status(world)
    #expect(final["resources"]?.array?.count == 1_000)
    #expect(final["resources"]?.array?.first?["name"] == "last")
    #expect(final[at: "summary.totalNumberOfResources"] == 1_501)
    #expect(final[at: "summary.numOfMigratedResources"] == 1_500)
  }
}

@Suite("Whose claim is bound to a volume")
struct VolumeChoiceTests {
  private func volume(_ origin: String?) -> KubeObject {
    var volume = ResourceKind.persistentVolume.object(name: "pv")
    volume.json["spec"] = ["capacity": ["storage": "1Gi"], "claimRef": ["namespace": "shop", "name": "db"]]
    if let origin { volume.setMap("annotations", [MigrationMark.origin: origin]) }
    return volume
  }

  private func claim(_ origin: String?) -> KubeObject {
    var claim = ResourceKind.persistentVolumeClaim.object(namespace: "shop", name: "db")
    if let origin { claim.setMap("annotations", [MigrationMark.origin: origin]) }
    return claim
  }

  @Test("A claim made here is not bound to a volume that a peer has reserved for one of its name")
  func reservation() {
    #expect(VolumeReconciler.choose(for: claim(nil), among: [volume("east")]) == nil)
    #expect(VolumeReconciler.choose(for: claim("north"), among: [volume("east")]) == nil)
    #expect(VolumeReconciler.choose(for: claim(nil), among: [volume("east"), volume(nil)]) == volume(nil))
  }

  @Test("The peer's own claim is, and so is one made here that names the volume")
  func own() {
    #expect(VolumeReconciler.choose(for: claim("east"), among: [volume("east")]) == volume("east"))
    #expect(VolumeReconciler.isFree(volume("east"), for: claim(nil)))
  }
}
