import AgentService
import APIModel
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

private let points = "apis/storage.repl-agent/v1alpha1/namespaces/shop/recoverypoints"
private let name = FakeService.point.id

@Suite("Recovery points as objects") struct RecoveryPointKindTests {
  private struct Plane {
    let service = FakeService()
    let clock = TestClock()
    let points: ComputedObjects
    let api: ObjectAPI
    let fixture: StoreFixture

    init() throws {
      fixture = try StoreFixture()
      let clock = clock
      points = RecoveryPointObjects.computed(service, clock: { clock.now })
      api = ObjectAPI(
        store: fixture.store, registry: .standard, clock: { clock.now },
        virtual: [ResourceKind.recoveryPoint.resource: points])
    }

    func send(_ method: String, _ path: String, query: String = "", accept: String = "") async throws -> (
      code: Int, json: JSONValue
    ) {
      let request = APIRequest(method: method, path: "/" + path, query: query, accept: accept)
      do {
        switch try await api.answer(request) {
        case .json(let code, let json, _): return (code, json)
        case .bytes(let code, _, let bytes, _): return (code, try JSONParser.parse(bytes))
        default: return (0, .null)
        }
      } catch let error as StatusError { return (error.code, error.json) }
    }
  }

  private func volume(_ plane: Plane, _ name: String = "db") async throws {
    _ = try await plane.service.createVolume(
      CreateVolumeRequest(namespace: "shop", name: name, size: 1 << 20, pool: nil))
  }

  @Test("A point has its volume, its times, its seal and how old its data is")
  func object() async throws {
    let plane = try Plane()
    try await volume(plane)
    let point = try await plane.send("GET", "\(points)/\(name)").json
    #expect(point[at: "spec.volume"] == "db" && point[at: "spec.generation"] == 7)
    #expect(
      point[at: "spec.takenAt"] == "2026-01-02T03:04:05Z" && point[at: "status.sealedAt"] == "2026-01-02T03:04:09Z")
    #expect(point[at: "status.seal.fingerprint"] == "ff" && point[at: "status.state"] == "sealed")
    #expect(point[at: "status.provenAt"] == .null && point[at: "status.sizeBytes"] == 1_048_576)
    let taken = try #require(Timestamp.seconds("2026-01-02T03:04:05Z"))
    #expect(point[at: "status.lagSeconds"] == nil, "taken in the future of this clock: there is no lag to tell")
    plane.clock.advance(taken + 60 - plane.clock.now)
    #expect(try await plane.send("GET", "\(points)/\(name)").json[at: "status.lagSeconds"] == 60)
    #expect(KubeObject(point).uid == "01234567-89ab-cdef-0123-456789abcdef")
  }

  @Test("Two volumes of one name: each point keeps its own volume and source, and the name is asked about once")
  func sameName() async throws {
    let plane = try Plane()
    var other = FakeService.point
    other.id = "fedcba9876543210fedcba9876543210"
    (other.volumeID, other.sourceCluster) = ("00000000000000000000000000000002", "")
    await plane.service.addPoint(other)
    for point in [FakeService.point, other] {
      await plane.service.hold(
        VolumeReport(
          id: point.volumeID, namespace: "shop", name: "db", path: "", sizeBytes: 1, role: .target, changeSource: "",
          changeSourceReason: "", pool: "main", sourceCluster: point.sourceCluster, lagSeconds: nil))
    }
    let items = try #require(try await plane.send("GET", points).json["items"]?.array)
    #expect(items.count == 2)
    for point in [FakeService.point, other] {
      let item = items.first { $0[at: "metadata.name"] == .string(point.id) }
      #expect(item?[at: "spec.volumeID"] == .string(point.volumeID))
      #expect(item?[at: "spec.sourceCluster"] == .string(point.sourceCluster))
      #expect(item?[at: "spec.volume"] == "db")
    }
    #expect(await plane.service.pointQuestions == ["shop/db"])
  }

  @Test("Lists, selectors and tables work; nothing can be written")
  func verbs() async throws {
    let plane = try Plane()
    try await volume(plane)
    #expect(try await plane.send("GET", points).json["items"]?.array?.count == 1)
    let none = try await plane.send("GET", points, query: "fieldSelector=spec.volume%3Dother")
    #expect(none.json["items"] == [])
    let table = try await plane.send("GET", points, accept: "application/json;as=Table;v=v1;g=meta.k8s.io").json
    let columns = table["columnDefinitions"]?.array?.compactMap { $0["name"]?.string }
    #expect(columns?.prefix(9) == ["Name", "Volume", "State", "Taken", "Lag", "Size", "Consistency", "Proof", "Age"])
    let wide = table["columnDefinitions"]?.array?.filter { $0["priority"] == 1 }.compactMap { $0["name"]?.string }
    #expect(wide == ["Source", "Generation", "Proven", "Group", "Fingerprint", "Path"])
    let cells = table["rows"]?.array?.first?["cells"]?.array?.suffix(6)
    #expect(cells == ["site-a", "7", "<never>", "g", "ff", "/pool/points/p"])
    for method in ["PUT", "PATCH", "DELETE"] {
      #expect(try await plane.send(method, "\(points)/\(name)").code == 405)
    }
    #expect(try await plane.send("POST", points).code == 405)
    #expect(try await plane.send("GET", "\(points)/none").code == 404)
  }

  @Test("A watch sees points come and go, and an unchanged point is no change")
  func watch() async throws {
    let plane = try Plane()
    let list = try await plane.send("GET", points).json
    let version = KubeObject(list).resourceVersion
    let request = APIRequest(method: "GET", path: "/" + points, query: "watch=true&resourceVersion=\(version)")
    guard case .watch(let stream)? = try await plane.api.answer(request) else {
      Issue.record("no watch")
      return
    }
    try await volume(plane)
    try await plane.points.refresh()
    plane.clock.advance(60)
    try await plane.points.refresh()
    await plane.service.forgetVolumes()
    try await plane.points.refresh()
    var types: [String] = []
    while types.count < 2, let changes = try await stream.watch.next() {
      types += try changes.compactMap { try WatchStream.event($0, stream.query)?.type }
    }
    #expect(types == ["ADDED", "DELETED"])
    #expect(try await stream.watch.version == plane.points.list(ListQuery(.recoveryPoint)).version)
  }

  @Test("A watch from another run of the agent is told to begin again")
  func restart() async throws {
    let plane = try Plane()
    let watch = try await plane.points.watch(after: 5)
    let error = await #expect(throws: StatusError.self) { _ = try await watch.next() }
    #expect(error?.code == 410)
  }
}
