import AgentService
import APIModel
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("Migrations while volumes are being made")
struct NewVolumeTests {
  private static let migration: JSONValue = ["clusterPair": "remotecluster", "namespaces": ["mysql"]]

  private func status(_ world: ScheduleWorld) async throws -> JSONValue {
    try await world.object(.migration, "m").status
  }

  @Test("a volume that is made while the volumes are listed does not fail the Migration")
  func madeMeanwhile() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    let (service, store) = (world.service, world.store)
    await service.afterNextListing {
      let wanted = CreateVolumeRequest(namespace: "mysql", name: "late", size: 1 << 20, pool: nil)
      if let report = try? await service.createVolume(wanted) { try? await VolumeObjects(store: store).ensure(report) }
    }
    try await world.create(.migration, "mysql", "m", ["spec": Self.migration])
    try await world.settle()
    #expect(try await world.object(.persistentVolumeClaim, "late").spec["volumeName"] != nil)
    let final = try await status(world)
    #expect(final["status"] == "Successful", "\(final["reason"]?.string ?? "")")
    #expect(final["volumes"]?.array?.compactMap { $0["persistentVolumeClaim"]?.string } == ["data"])
  }

  /// A volume of the agent's class that is made by its objects: the engine has still to take its file in.
  private func applied(_ world: ScheduleWorld) async throws {
    try await world.create(
      .persistentVolume, "", "pv-logs",
      [
        "spec": [
          "storageClassName": "repl-agent", "local": ["path": "/srv/logs.img"], "capacity": ["storage": "1Mi"],
          "accessModes": ["ReadWriteOnce"],
        ]
      ])
    try await world.create(
      .persistentVolumeClaim, "mysql", "logs",
      [
        "spec": [
          "volumeName": "pv-logs", "storageClassName": "repl-agent", "accessModes": ["ReadWriteOnce"],
          "resources": ["requests": ["storage": "1Mi"]],
        ]
      ])
  }

  @Test("a volume that is being taken in is waited for")
  func takenIn() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await applied(world)
    try await world.create(.migration, "mysql", "m", ["spec": Self.migration])
    try await world.settle()
    let waiting = try await status(world)
    #expect(waiting["status"] == "Pending")
    #expect(waiting["reason"] == "waiting for the agent to take in volume mysql/logs at /srv/logs.img")
    #expect(try await world.told("m") == [])
    let file = ImportVolumeRequest(
      namespace: "mysql", name: "logs", path: "/srv/logs.img", pool: nil, allowFuzzy: false)
    _ = try await world.service.importVolume(file)
    try await world.run(seconds: 10)
    let final = try await status(world)
    #expect(final["status"] == "Successful" && final["volumes"]?.array?.count == 2)
  }

  @Test("a volume that is never taken in ends the wait, with what to do")
  func neverTakenIn() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await applied(world)
    try await world.create(.migration, "mysql", "m", ["spec": Self.migration])
    try await world.run(seconds: 120)
    let final = try await status(world)
    #expect(final["status"] == "Failed")
    let reason = final["reason"]?.string ?? ""
    #expect(reason.contains("the agent has no volume mysql/logs at /srv/logs.img; take it in"), "\(reason)")
  }
}
