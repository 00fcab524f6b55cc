import AgentService
import APIModel
import ReplModel
import ReplicationEngine

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

/// How the result of an object that was applied reads.
let migrated = "Successful Resource migrated successfully"

/// Two control planes without their reconcilers, joined: what `east` exchanges with its peer, `west` answers.
struct MigrationFixture {
  let east: StoreFixture
  let west: StoreFixture
  let eastEngine = FakeService()
  let westEngine = FakeService()
  let migrator: ResourceMigrator
  let schedules: RemoteSchedules
  let receiver: ResourceReceiver
  let pair = ObjectReference(kind: "ClusterPair", namespace: "shop", name: "west", uid: "u")

  init(cluster: String = "east") async throws {
    east = try StoreFixture()
    west = try StoreFixture()
    let clock = east.clock
    migrator = ResourceMigrator(store: east.store, service: eastEngine, clock: { clock.now })
    schedules = RemoteSchedules(service: eastEngine)
    receiver = ResourceReceiver(store: west.store, service: westEngine)
    let joined: (responder: any PeerDocumentResponder, asCluster: String) = (receiver, cluster)
    eastEngine.peer.withLock { $0 = joined }
    try await east.namespace("shop")
  }

  static func migration(_ spec: [String: JSONValue] = [:], name: String = "m", namespace: String = "shop")
    -> KubeObject
  {
    var object = ResourceKind.migration.object(namespace: namespace, name: name)
    object.json["spec"] = .object(spec.merging(["clusterPair": "west"]) { own, _ in own })
    return object
  }

  func request(
    _ spec: [String: JSONValue] = [:], namespaces: [String] = ["shop"], volumes: [VolumeRunReport] = []
  ) -> ResourceRequest {
    ResourceRequest(migration: Self.migration(spec), pair: pair, namespaces: namespaces, volumes: volumes)
  }

  /// Runs the phase; results as `Kind/name: Status reason`, ascending.
  func run(
    _ spec: [String: JSONValue] = [:], namespaces: [String] = ["shop"], volumes: [VolumeRunReport] = []
  ) async throws -> [String] {
    try await migrator.run(request(spec, namespaces: namespaces, volumes: volumes)).results
      .map { "\($0.kind)/\($0.name): \($0.status.rawValue) \($0.reason)" }.sorted()
  }

  @discardableResult
  func make(
    _ kind: ResourceKind, _ name: String, in store: StoreFixture? = nil, namespace: String = "shop",
    _ fields: [String: JSONValue] = [:]
  ) async throws -> KubeObject {
    var object = kind.object(namespace: namespace, name: name)
    for (path, value) in fields { object.json[at: path] = value }
    return try await (store ?? east).store.create(kind, object, dryRun: false)
  }

  func deployment(_ name: String, replicas: Int64 = 3, in store: StoreFixture? = nil) async throws {
    try await make(
      .deployment, name, in: store, ["spec.replicas": .integer(replicas), "spec.template.spec.image": "shop:1"])
  }

  func arrived(_ kind: ResourceKind, _ name: String, namespace: String = "shop") async throws -> KubeObject {
    try await west.store.get(kind, namespace: kind.namespaced ? namespace : "", name: name)
  }

  func isMissing(_ kind: ResourceKind, _ name: String, namespace: String = "shop") async -> Bool {
    (try? await arrived(kind, name, namespace: namespace)) == nil
  }

  /// A volume of the east with its objects, and its points in the west.
  func volume(_ name: String, held: Bool = true, path: String? = nil) async throws -> (VolumeReport, VolumeRunReport) {
    let report = try await eastEngine.createVolume(
      CreateVolumeRequest(namespace: "shop", name: name, size: 1 << 30, pool: nil))
    let objects = VolumeObjects(store: east.store)
    try await objects.ensure(report)
    _ = try await east.store.update(
      .persistentVolumeClaim, namespace: "shop", name: name, part: .whole, dryRun: false
    ) { old in
      var new = old
      new.json["status"] = ["phase": "Bound"]
      new.setMap("labels", ["app": name])
      return new
    }
    var run = VolumeRunReport(volume: report.id, namespace: "shop", name: name)
    run.point = FakeService.point.id
    if held {
      var target = report
      target.role = .target
      target.path = path ?? "/west/volumes/shop/\(name)-\(report.id).img"
      target.sourceCluster = "east"
      await westEngine.hold(target)
    }
    return (report, run)
  }

  func pairOfWest(options: [String: JSONValue], cluster: String = "east") async throws {
    try? await west.namespace("admin")
    try await make(
      .clusterPair, "east", in: west, namespace: "admin",
      ["spec.options": .object(options), "status.remoteStorageId": .string(cluster)])
  }
}
