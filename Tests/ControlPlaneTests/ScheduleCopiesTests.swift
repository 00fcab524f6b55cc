import APIModel
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("Copies of schedules at the other cluster")
struct ScheduleCopiesTests {
  private func schedule(_ template: JSONValue = ["spec": ["clusterPair": "west"]]) -> KubeObject {
    var schedule = ResourceKind.migrationSchedule.object(namespace: "shop", name: "nightly")
    schedule.json["spec"] = ["schedulePolicyName": "p", "suspend": false, "template": template]
    schedule.json["status"] = ["items": ["Daily": []], "applicationActivated": true]
    schedule.json[at: "metadata.finalizers"] = ["stork.libopenstorage.org/finalizer-cleanup"]
    return schedule
  }

  @Test("A copy is suspended, marked and without a history, in a namespace that is made")
  func copy() async throws {
    let sites = try await MigrationFixture()
    let migrator = sites.schedules
    #expect(
      try await migrator.state(namespace: "shop", name: "nightly", pair: sites.pair)
        == PeerScheduleState(copy: .missing, applicationActivated: false))
    try await migrator.put(schedule(), pair: sites.pair)
    let copy = try await sites.arrived(.migrationSchedule, "nightly")
    #expect(copy.spec["suspend"] == true && copy.json[at: "spec.template.spec.clusterPair"] == "west")
    #expect(copy.annotations["stork.libopenstorage.org/static-copy"] == "true" && copy.finalizers.isEmpty)
    #expect(copy.annotations["stork.libopenstorage.org/resource-hash"] != nil)
    #expect(copy.status["items"] == .null && copy.status["applicationActivated"] == false)
    #expect(
      try await migrator.state(namespace: "shop", name: "nightly", pair: sites.pair)
        == PeerScheduleState(copy: .copy, applicationActivated: false))
  }

  @Test("A renewed copy has the new template and still knows that its applications are active")
  func renewal() async throws {
    let sites = try await MigrationFixture()
    try await sites.schedules.put(schedule(), pair: sites.pair)
    let first = try await sites.west.store.update(
      .migrationSchedule, namespace: "shop", name: "nightly", part: .whole, dryRun: false
    ) { old in
      var new = old
      new.json[at: "status.applicationActivated"] = true
      return new
    }
    try await sites.schedules.put(schedule(), pair: sites.pair)
    #expect(try await sites.arrived(.migrationSchedule, "nightly") == first)
    try await sites.schedules.put(schedule(["spec": ["clusterPair": "other"]]), pair: sites.pair)
    let second = try await sites.arrived(.migrationSchedule, "nightly")
    #expect(second.json[at: "spec.template.spec.clusterPair"] == "other")
    #expect(
      try await sites.schedules.state(namespace: "shop", name: "nightly", pair: sites.pair).applicationActivated)
  }

  @Test("Namespaces of the system take copies only from a peer that a pair here lets in")
  func systemNamespaces() async throws {
    let sites = try await MigrationFixture()
    for namespace in ["kube-system", "kube-public", "kube-node-lease"] {
      var wanted = schedule()
      wanted[metadata: "namespace"] = .string(namespace)
      do throws(ReplError) {
        try await sites.schedules.put(wanted, pair: sites.pair)
        Issue.record("\(namespace) took a copy")
      } catch { #expect(error.kind == .refused && error.cause.contains("acceptClusterResources")) }
    }
    #expect(await sites.isMissing(.namespace, "kube-public"))
    try await sites.pairOfWest(options: ["acceptClusterResources": true])
    var wanted = schedule()
    wanted[metadata: "namespace"] = "kube-system"
    try await sites.schedules.put(wanted, pair: sites.pair)
    #expect(await !sites.isMissing(.migrationSchedule, "nightly", namespace: "kube-system"))
  }

  @Test("A namespace made for a copy has no labels of the peer's choice")
  func bareNamespace() async throws {
    let sites = try await MigrationFixture()
    _ = try await sites.east.store.update(.namespace, namespace: "", name: "shop", part: .whole, dryRun: false) { old in
      var new = old
      new.setMap("labels", old.labels.merging(["team": "sales"]) { $1 })
      return new
    }
    try await sites.schedules.put(schedule(), pair: sites.pair)
    #expect(try await sites.arrived(.namespace, "shop").labels["team"] == nil)
  }

  @Test("Whether the applications run is told to the peer whose copy it is, and to nobody else")
  func foreignState() async throws {
    let sites = try await MigrationFixture()
    try await sites.west.namespace("shop")
    try await sites.make(
      .migrationSchedule, "nightly", in: sites.west,
      ["metadata.annotations": ["repl-agent/migrated-from": "north"], "status.applicationActivated": true])
    #expect(
      try await sites.schedules.state(namespace: "shop", name: "nightly", pair: sites.pair)
        == PeerScheduleState(copy: .foreign, applicationActivated: false))
  }

  @Test("One peer has so many copies here at most; those it has are still renewed")
  func bound() async throws {
    let sites = try await MigrationFixture()
    for number in 0..<ScheduleCopies.limit {
      var copy = ScheduleCopies.copy(of: schedule(), cluster: "east")
      copy[metadata: "name"] = .string("s\(number)")
      if number == 0 { try await sites.west.namespace("shop") }
      _ = try await sites.west.store.create(.migrationSchedule, copy, dryRun: false)
    }
    do throws(ReplError) {
      try await sites.schedules.put(schedule(), pair: sites.pair)
      Issue.record("one copy too many was taken")
    } catch { #expect(error.kind == .refused) }
    var known = schedule(["spec": ["clusterPair": "other"]])
    known[metadata: "name"] = "s7"
    try await sites.schedules.put(known, pair: sites.pair)
    #expect(try await sites.arrived(.migrationSchedule, "s7").json[at: "spec.template.spec.clusterPair"] == "other")
  }

  @Test("A schedule does not wait for its peer as long as a Migration does")
  func timeLimit() async throws {
    let sites = try await MigrationFixture()
    _ = try await sites.schedules.state(namespace: "shop", name: "nightly", pair: sites.pair)
    try await sites.make(.configMap, "a")
    _ = try await sites.run()
    let limits = sites.eastEngine.limits.withLock { $0 }
    #expect(limits == ["schedule": .seconds(10)])
  }

  @Test("A schedule of the receiver's own stands in the way and stays as it is")
  func foreign() async throws {
    let sites = try await MigrationFixture()
    try await sites.west.namespace("shop")
    try await sites.make(.migrationSchedule, "nightly", in: sites.west, ["spec.schedulePolicyName": "own"])
    #expect(
      try await sites.schedules.state(namespace: "shop", name: "nightly", pair: sites.pair).copy == .foreign)
    do throws(ReplError) {
      try await sites.schedules.put(schedule(), pair: sites.pair)
      Issue.record("a foreign schedule was overwritten")
    } catch {
      #expect(error.kind == .refused)
      #expect(
        error.cause
          == "a non static-copy migrationSchedule with the same name and namespace found in the remote cluster")
    }
    #expect(try await sites.arrived(.migrationSchedule, "nightly").spec["schedulePolicyName"] == "own")
  }
}
