import APIModel
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("ClusterPairs and their status")
struct PairStatusTests {
  /// The pair of the documents, keys cut to BASE64.
  private static let documented = #"""
    {"config":{"clusters":{"kubernetes":{"LocationOfOrigin":"/etc/kubernetes/admin.conf",
    "certificate-authority-data":"BASE64","server":"https://192.168.56.74:6443"}},"contexts":{
    "kubernetes-admin@kubernetes":{"LocationOfOrigin":"/etc/kubernetes/admin.conf","cluster":"kubernetes",
    "user":"kubernetes-admin"}},"current-context":"kubernetes-admin@kubernetes","preferences":{},"users":{
    "kubernetes-admin":{"client-certificate-data":"BASE64","client-key-data":"BASE64KEY"}}}}
    """#

  private func spec(options: JSONValue?) throws -> JSONValue {
    var spec = try JSONParser.parse(Self.documented)
    spec["options"] = options
    return spec
  }

  private func status(_ world: ScheduleWorld, _ name: String = "p") async throws -> JSONValue {
    try await world.object(.clusterPair, name).status
  }

  @Test("the documents' pair becomes ready, and what its config is good for is told")
  func documented() async throws {
    let world = try await ScheduleWorld()
    try await world.create(
      .clusterPair, "mysql", "p",
      ["spec": spec(options: ["ip": "10.0.0.1", "port": 9_001, "token": "abcdef", "mode": "DisasterRecovery"])])
    try await world.settle()
    let paired = try await status(world)
    #expect(paired["storageStatus"] == "Ready" && paired["schedulerStatus"] == "Ready")
    #expect(paired["remoteStorageId"] == "site-b")
    #expect(
      try await Set(world.told("p")) == [
        "Normal/Ready/Storage successfully paired", "Normal/Ready/Scheduler successfully paired",
        "Normal/Config/spec.config is well-formed; objects travel between the agents, so nothing connects with it",
      ])
    #expect(await world.service.paired.first?.mode == .disasterRecovery)
  }

  @Test("options may be texts, numbers or booleans; unknown ones are ignored")
  func options() async throws {
    let world = try await ScheduleWorld()
    try await world.create(
      .clusterPair, "mysql", "p",
      [
        "spec": [
          "options": ["ip": "h", "port": "9001", "token": 123_456, "insert_storage_options_here": "", "x": true]
        ]
      ])
    try await world.settle()
    #expect(try await status(world)["storageStatus"] == "Ready")
    #expect(await world.service.paired.first?.port == 9_001)
  }

  @Test("a pair without a token is NotProvided; its scheduler is as good as its config")
  func notProvided() async throws {
    let world = try await ScheduleWorld()
    try await world.create(.clusterPair, "mysql", "metro", ["spec": spec(options: nil)])
    try await world.create(.clusterPair, "mysql", "bare", ["spec": ["options": ["ip": "h"]]])
    try await world.create(.clusterPair, "mysql", "bad", ["spec": ["config": ["clusters": [:]]]])
    try await world.settle()
    func words(_ name: String) async throws -> [JSONValue?] {
      [try await status(world, name)["storageStatus"], try await status(world, name)["schedulerStatus"]]
    }
    #expect(try await words("metro") == ["NotProvided", "Ready"])
    #expect(try await words("bare") == ["NotProvided", "NotProvided"])
    #expect(try await words("bad") == ["NotProvided", "Error"])
    #expect(
      try await world.told("metro").contains(
        "Normal/NotProvided/Skipping storage pairing since no storage options provided"))
    try await world.run(seconds: 60)
    #expect(try await world.told("bare").count == 1)
  }

  @Test(
    "the shape of a config is checked, its keys are never shown",
    arguments: [
      (["clusters": []], "clusters is not a mapping of names"),
      (["clusters": [:], "users": [:], "contexts": [:]], "current-context does not name one of contexts"),
      (
        [
          "clusters": ["c": ["server": "ftp://x"]], "users": ["u": ["client-key-data": "SECRETKEY"]],
          "contexts": ["x": ["cluster": "c", "user": "u"]], "current-context": "x",
        ], "the server of the current cluster is not an http or https address"
      ),
    ] as [(JSONValue, String)])
  func shape(_ config: JSONValue, _ fault: String) {
    #expect(PairConfig(["config": config]) == .malformed(fault))
  }

  @Test("a peer that dies after having been ready is Degraded, and Ready again when it is back")
  func degraded() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    await world.service.setReady(false, reason: "no heartbeat for 10 s")
    try await world.settle()
    #expect(try await status(world, "remotecluster")["storageStatus"] == "Degraded")
    #expect(try await world.told("remotecluster").contains("Warning/Degraded/no heartbeat for 10 s"))
    await world.service.setReady(true)
    try await world.settle()
    #expect(try await status(world, "remotecluster")["storageStatus"] == "Ready")
    #expect(await world.service.pairCalls == 1)
  }

  @Test("after a start of the agent a pair is Pending until the peer was asked, without a warning")
  func pending() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    let before = try await world.told("remotecluster")
    world.restart()
    await world.service.setNotContacted()
    try await world.settle()
    #expect(try await status(world, "remotecluster")["storageStatus"] == "Pending")
    await world.service.setReady(true)
    try await world.settle()
    #expect(try await status(world, "remotecluster")["storageStatus"] == "Ready")
    #expect(try await world.told("remotecluster") == before)
    await world.service.setNotContacted()
    try await world.settle()
    await world.service.setReady(false, reason: "refused")
    try await world.settle()
    #expect(try await status(world, "remotecluster")["storageStatus"] == "Degraded")
  }

  @Test("neither tokens nor keys reach events, logs or the status")
  func secrets() async throws {
    let world = try await ScheduleWorld()
    await world.service.failPairing(
      ReplError(.unauthenticated, subject: "pair", cause: "token tok-4711 and key BASE64KEY were refused"))
    try await world.create(.clusterPair, "mysql", "p", ["spec": spec(options: ["ip": "h", "token": "tok-4711"])])
    try await world.settle()
    let shown = try await world.told("p") + world.log.all + [status(world).compactText]
    #expect(shown.contains { $0.contains("[token]") })
    #expect(shown.allSatisfy { !$0.contains("tok-4711") && !$0.contains("BASE64KEY") })
  }

  @Test("several pairs with one peer have a mode each, and the engine learns of each that ends")
  func several() async throws {
    let world = try await ScheduleWorld()
    for (name, mode) in [("a", "Default"), ("b", "DisasterRecovery")] {
      try await world.create(
        .clusterPair, "mysql", name, ["spec": ["options": ["ip": "h", "token": "tok-4711", "mode": .string(mode)]]])
    }
    try await world.settle()
    #expect(await Set(world.service.paired.map(\.mode)) == [.default, .disasterRecovery])
    _ = try await world.store.delete(.clusterPair, namespace: "mysql", name: "a", options: DeleteOptions())
    try await world.settle()
    #expect(await world.service.removedPairs.map(\.name) == ["a"])
    #expect(try await status(world, "b")["storageStatus"] == "Ready")
  }
}
