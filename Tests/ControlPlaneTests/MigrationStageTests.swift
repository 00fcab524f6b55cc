import APIModel
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("Migrations through their stages")
struct MigrationStageTests {
  private func world(_ spec: [String: JSONValue] = [:], volumes: [String] = ["data"]) async throws -> ScheduleWorld {
    let world = try await ScheduleWorld()
    try await world.prepare(volumes: volumes)
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

  @Test("volumes, then objects, then the end, with defaults, summary and one event per volume and object")
  func successful() async throws {
    let world = try await world()
    world.resources.answer([FakeResources.result("PersistentVolumeClaim", "data", "Successful", "Resource migrated")])
    try await world.settle()
    let migration = try await world.object(.migration, "m")
    let status = migration.status
    let volume = try await world.object(.persistentVolumeClaim, "data").spec["volumeName"]?.string ?? "none"
    #expect(migration.spec["startApplications"] == false && migration.spec["skipDeletedNamespaces"] == true)
    #expect(status["stage"] == "Final" && status["status"] == "Successful")
    #expect(status["resources"]?.array?.first?["transformedBy"] == "")
    #expect(status[at: "summary.numOfMigratedVolumes"] == 1 && status[at: "summary.numOfMigratedResources"] == 1)
    #expect(status[at: "summary.elapsedTimeForVolumeMigration"] == "0s")
    #expect(status[at: "summary.elapsedTimeForResourceMigration"] == "0s")
    #expect(
      try await world.told("m") == [
        "Normal/Successful/Volume \(volume) migrated successfully",
        "Normal/Successful//v1, Kind=PersistentVolumeClaim mysql/data: Resource migrated",
      ])
    let request = try #require(world.resources.requests.first)
    #expect(request.namespaces == ["mysql"] && request.volumes.map(\.name) == ["data"])
    try await world.run(seconds: 60)
    #expect(world.resources.requests.count == 1)
    #expect(await world.service.started.count == 1)
  }

  @Test("an object that was not applied makes a partial success, a volume's object a failure")
  func outcomes() {
    func word(_ kinds: [(String, String)]) -> String {
      MigrationStatus.finalStatus(
        ResourceOutcome(results: kinds.map { FakeResources.result($0.0, "x", $0.1) })
      ).rawValue
    }
    #expect(word([]) == "Successful")
    #expect(word([("Service", "Successful"), ("ConfigMap", "Purged")]) == "Successful")
    #expect(word([("Service", "Successful"), ("ConfigMap", "Failed")]) == "PartialSuccess")
    #expect(word([("PersistentVolume", "Failed"), ("ConfigMap", "Failed")]) == "Failed")
  }

  @Test("without resources the stage stays Volumes, and the objects of the volumes still follow")
  func volumesOnly() async throws {
    let world = try await world(["includeResources": false])
    world.resources.answer([FakeResources.result("PersistentVolumeClaim", "data", "Failed", "refused")])
    try await world.settle()
    #expect(world.resources.requests.first?.migration.status["stage"] == "Volumes")
    #expect(try await status(world)["status"] == "PartialSuccess")
  }

  @Test("without volumes the run goes straight to the objects, and volumes stay null")
  func resourcesOnly() async throws {
    let world = try await world(["includeVolumes": false])
    try await world.settle()
    let final = try await status(world)
    #expect(final["status"] == "Successful" && final["volumes"] == .null)
    #expect(final[at: "summary.elapsedTimeForVolumeMigration"] == "")
    #expect(await world.service.started.isEmpty)
    #expect(world.resources.requests.first?.migration.status["status"] == "")
  }

  @Test("a namespace without volumes ends with an empty list")
  func noVolumes() async throws {
    let world = try await world(volumes: [])
    try await world.settle()
    let final = try await status(world)
    #expect(final["status"] == "Successful" && final["volumes"] == [])
  }

  @Test(
    "what can never work ends as Failed after one event",
    arguments: [
      (["clusterPair": ""], "clusterPair to migrate to cannot be empty"),
      (
        ["namespaces": []], "no valid namespace found based on the provided 'Namespaces' and 'NamespaceSelectors'"
      ),
      (["namespaces": ["mysql", "default"]], "migration namespaces should only contain the current namespace"),
      (
        ["namespaces": [], "namespaceSelectors": ["no": "such"]],
        "no valid namespace found based on the provided 'Namespaces' and 'NamespaceSelectors'"
      ),
      (
        ["namespaces": ["gone"], "skipDeletedNamespaces": false],
        "migration namespaces should only contain the current namespace"
      ),
      (
        ["transformSpecs": ["rename"]],
        "transformSpecs names ResourceTransformation rename: objects are not transformed by this agent; remove it, "
          + "or change the objects at the destination"
      ),
      (
        ["adminClusterPair": "none"],
        "error getting admin cluster pair kube-system/none: clusterpairs.stork.libopenstorage.org \"none\" not found"
      ),
    ] as [([String: JSONValue], String)])
  func badSpecs(_ spec: [String: JSONValue], _ cause: String) async throws {
    let world = try await world(spec)
    try await world.run(seconds: 60)
    let final = try await status(world)
    #expect(final["stage"] == "Final" && final["status"] == "Failed" && final["reason"] == .string(cause))
    #expect(try await world.told("m") == ["Warning/Failed/\(cause)"])
  }

  @Test("the admin namespace may name others; one that was deleted is skipped, or the end if that is asked for")
  func adminNamespace() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.create(
      .clusterPair, "kube-system", "remotecluster",
      ["spec": ["options": ["ip": "h", "token": .string(FakeService.token)]]])
    try await world.settle()
    for (name, skip) in [("lenient", true), ("strict", false)] {
      try await world.create(
        .migration, "kube-system", name,
        [
          "spec": [
            "clusterPair": "remotecluster", "namespaces": ["mysql", "gone"], "skipDeletedNamespaces": .bool(skip),
          ]
        ])
    }
    try await world.settle()
    let lenient = try await world.store.get(.migration, namespace: "kube-system", name: "lenient")
    let strict = try await world.store.get(.migration, namespace: "kube-system", name: "strict")
    #expect(lenient.status["status"] == "Successful" && lenient.status["volumes"]?.array?.count == 1)
    #expect(
      try await world.told("lenient").contains(
        "Warning/namespace  gone was deleted, skipping migration/namespaces \"gone\" not found"))
    #expect(strict.status["reason"] == "error getting namespace gone: namespaces \"gone\" not found")
  }

  @Test("a failed volume is the end: nothing is applied, the reason is in the entry and in an event")
  func failedVolume() async throws {
    let world = try await world()
    await world.service.failStarting(ReplError(.refused, subject: "volume mysql/data", cause: "in use"))
    try await world.settle()
    let final = try await status(world)
    #expect(final["status"] == "Failed" && world.resources.requests.isEmpty)
    #expect(final["volumes"]?.array?.first?["status"] == "Failed")
    #expect(final[at: "summary.elapsedTimeForResourceMigration"] == "NA")
  }

  @Test("a pair that is not ready is waited for, and told of once")
  func pairNotReady() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    await world.service.setReady(false, reason: "no heartbeat")
    try await world.settle()
    try await make(world)
    try await world.run(seconds: 60)
    #expect(
      try await world.told("m") == [
        "Warning/Waiting/Error migrating volumes: cluster pair storage status is not ready. Status: Degraded Err: no heartbeat"
      ])
    #expect(try await status(world)["status"] == "Pending")
    await world.service.setReady(true)
    try await world.run(seconds: 10)
    #expect(try await status(world)["status"] == "Successful")
  }

  @Test("objects are retried while the peer cannot be reached, with a bound; a refusal is the end at once")
  func resourceErrors() async throws {
    let world = try await world()
    let transient = ReplError(.transient, subject: "peer", cause: "no answer")
    world.resources.fail(Array(repeating: transient, count: 8))
    try await world.settle()
    #expect(try await status(world)["stage"] == "Applications")
    #expect(try await status(world)["reason"] == "Error migrating resources: peer: no answer")
    try await world.run(seconds: 60)
    #expect(try await status(world)["status"] == "Successful")

    let refused = try await self.world()
    refused.resources.fail([ReplError(.refused, subject: "peer", cause: "namespace kube-system is not allowed")])
    try await refused.settle()
    #expect(try await status(refused)["status"] == "Failed")

    let dead = try await self.world()
    dead.resources.fail(Array(repeating: transient, count: 100))
    try await dead.run(seconds: 600)
    #expect(try await status(dead)["status"] == "Failed")
    #expect(dead.resources.requests.count == 21)
  }

  @Test(
    "direct-access volumes are refused by name, with an event and the remedy, and nothing is shipped",
    arguments: [["backend": "pure_block"], ["backend": "pure_file"], ["proxy_endpoint": "nfs://x"]] as [JSONValue])
  func directAccess(_ parameters: JSONValue) async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.create(.storageClass, "", "fa", ["provisioner": "pxd.portworx.com", "parameters": parameters])
    try await world.create(
      .persistentVolumeClaim, "mysql", "array",
      ["spec": ["storageClassName": "fa", "resources": ["requests": ["storage": "1Gi"]]]])
    try await make(world)
    try await world.settle()
    let final = try await status(world)
    #expect(final["status"] == "Failed")
    #expect(await world.service.started.isEmpty)
    let entry = try #require(final["volumes"]?.array?.first { $0["persistentVolumeClaim"] == "array" })
    #expect(entry["status"] == "Failed" && entry["reason"]?.string?.contains("direct-access volumes") == true)
    #expect(
      try await world.told("m").contains {
        $0.hasPrefix("Warning/Failed/Error migrating volume mysql/array: direct-access volumes")
      })
    try await world.change(
      .persistentVolumeClaim, "array", "metadata.annotations", .object([Stork.skipResource: "true"]))
    _ = try await world.store.delete(.migration, namespace: "mysql", name: "m", options: DeleteOptions())
    try await world.settle()
    try await make(world)
    try await world.settle()
    #expect(try await status(world)["status"] == "Successful")
  }

  @Test("a PersistentVolume can say it too")
  func directAccessOnVolume() {
    var volume = ResourceKind.persistentVolume.object(name: "pv")
    volume.json[at: "spec.csi.volumeAttributes"] = ["backend": "pure_block"]
    #expect(DirectAccess.refusal(volume: volume, storageClass: nil)?.contains("pure_block") == true)
    volume.json[at: "spec.csi.volumeAttributes"] = ["backend": "sharedv4", "proxy_endpoint": ""]
    #expect(DirectAccess.refusal(volume: volume, storageClass: nil) == nil)
  }

  @Test("a restart of the agent after every step ends in the same place, with one run of the engine")
  func restarts() async throws {
    let world = try await world()
    world.resources.fail([ReplError(.transient, subject: "peer", cause: "no answer")])
    var stages: [String] = []
    for _ in 0..<20 {
      world.restart()
      _ = try await world.pass()
      let stage = try await status(world)["stage"]?.string ?? ""
      if stages.last != stage { stages.append(stage) }
    }
    #expect(stages.last == "Final" && stages.contains("Applications"))
    #expect(Set(await world.service.started.map(\.reference.uid)).count == 1)
    #expect(try await status(world)["status"] == "Successful")
  }

  @Test("a Migration deleted while its run lasts cancels the run first")
  func cancelled() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    await world.service.setFinishAtOnce(false)
    try await make(world)
    try await world.settle()
    let uid = try await world.object(.migration, "m").uid
    _ = try await world.store.delete(.migration, namespace: "mysql", name: "m", options: DeleteOptions())
    try await world.settle()
    #expect(await world.service.cancelled == [uid])
    #expect(try await world.migrationNames.isEmpty)
  }
}
