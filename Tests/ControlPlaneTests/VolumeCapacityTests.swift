import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

/// What claims and volumes say of the size of a file.
@Suite struct VolumeCapacityTests {
  private static let migration: JSONValue = ["clusterPair": "remotecluster", "namespaces": ["mysql"]]

  /// As the controller of claims does it.
  private func bind(_ world: ScheduleWorld) async throws {
    try await world.change(
      .persistentVolumeClaim, "data", "status", ["phase": "Bound", "capacity": ["storage": "1Mi"]])
  }

  private func capacities(_ world: ScheduleWorld) async throws -> [String?] {
    let claim = try await world.object(.persistentVolumeClaim, "data")
    let volume = try await world.object(.persistentVolume, claim.spec["volumeName"]?.string ?? "")
    return [volume.json[at: "spec.capacity.storage"]?.text, claim.json[at: "status.capacity.storage"]?.text]
  }

  @Test("they follow a file that was made larger, with the next Migration")
  func growth() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await bind(world)
    #expect(try await capacities(world) == ["1Mi", "1Mi"])
    await world.service.grow("data", to: 3 << 20)
    try await world.create(.migration, "mysql", "m", ["spec": Self.migration])
    try await world.settle()
    #expect(try await world.object(.migration, "m").status["status"] == "Successful")
    #expect(try await capacities(world) == ["3Mi", "3Mi"])
  }

  @Test("a wish for another size of a bound claim is refused, with what to do", arguments: ["2Mi", "512Ki"])
  func resize(size: String) async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await bind(world)
    let error = await #expect(throws: StatusError.self) {
      try await world.change(.persistentVolumeClaim, "data", "spec.resources.requests.storage", .string(size))
    }
    #expect(error?.code == 422 && error?.message.contains("truncate -s") == true)
    // The same size in other words is no wish.
    try await world.change(.persistentVolumeClaim, "data", "spec.resources.requests.storage", "1024Ki")
  }
}
