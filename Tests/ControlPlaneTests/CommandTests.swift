import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers
@testable import ReplCtl

@Suite("The verbs of the Stork tools against an API")
struct CommandTests {
  private static let stork = "apis/stork.libopenstorage.org/v1alpha1"

  /// A plane with a namespace and a ready pair `site-b` in it.
  private func plane() async throws -> PlaneFixture {
    let plane = try await PlaneFixture()
    let code = try await plane.run(
      "create", "clusterpair", "site-b", "-n", "shop", "--ip", "10.0.0.9", "--token", "t", "--mode", "DisasterRecovery")
    try #require(code == 0)
    return plane
  }

  private func schedule(_ plane: PlaneFixture, _ name: String) async throws -> JSONValue {
    try await plane.send("GET", "\(Self.stork)/namespaces/shop/migrationschedules/\(name)")
  }

  @Test("a schedule with an interval brings a policy of its own name, and is suspended and resumed")
  func schedules() async throws {
    let plane = try await plane()
    #expect(
      try await plane.run(
        "create", "migrationschedules", "dr", "-n", "shop", "-c", "site-b", "--namespaces", "shop", "-i", "5",
        "--exclude-resources", "--suspend") == 0)
    let made = try await schedule(plane, "dr")
    #expect(made[at: "spec.schedulePolicyName"] == "dr")
    #expect(made[at: "spec.suspend"] == true && made[at: "spec.autoSuspend"] == true)
    #expect(made[at: "spec.template.spec.clusterPair"] == "site-b")
    #expect(made[at: "spec.template.spec.namespaces"] == ["shop"])
    #expect(made[at: "spec.template.spec.includeResources"] == false)
    #expect(made[at: "spec.template.spec.includeVolumes"] == true)
    let policy = try await plane.send("GET", "\(Self.stork)/schedulepolicies/dr")
    #expect(policy["policy"] == ["interval": ["intervalMinutes": 5, "retain": 10]])
    #expect(try await plane.run("resume", "migrationschedules", "-n", "shop", "-c", "site-b") == 0)
    #expect(try await schedule(plane, "dr")[at: "spec.suspend"] == false)
    #expect(try await plane.run("suspend", "migrationschedule", "dr", "-n", "shop") == 0)
    #expect(try await schedule(plane, "dr")[at: "spec.suspend"] == true)
    #expect(try await plane.run("delete", "schedulepolicy", "dr") == 4, "a policy in use stays")
    #expect(try await plane.run("delete", "migrationschedules", "dr", "-n", "shop") == 0)
    #expect(try await plane.run("delete", "schedulepolicy", "dr") == 0)
    try await plane.stop()
  }

  @Test(
    "a schedule that cannot run is not made",
    arguments: [
      ("-c site-b", Int32(2)), ("-c site-b --namespaces other", 2), ("-c nope --namespaces shop", 3),
      ("--namespaces shop", 2), ("-c site-b --namespaces shop -s nope", 3),
      ("-c site-b --namespaces shop -s a -i 5", 2), ("-c site-b --namespaces shop -i 0", 2),
      ("-c site-b --namespaces shop --exclude-resource-types Frob", 2),
      ("-c site-b --namespaces shop --admin-cluster-pair nope", 3),
    ])
  func badSchedules(_ flags: String, _ code: Int32) async throws {
    let plane = try await plane()
    let path = plane.socketPath
    let words = flags.split(separator: " ").map(String.init)
    let found = try await blocking {
      Main.run(["--socket", path, "create", "migrationschedules", "dr", "-n", "shop"] + words)
    }
    #expect(found == code)
    let list = try await plane.send("GET", "\(Self.stork)/migrationschedules")
    #expect(list["items"] == .array([]))
    try await plane.stop()
  }

  @Test("whoever waits for a migration without its pair is told at once, and nothing is made")
  func migrationWithoutItsPair() async throws {
    let plane = try await plane()
    #expect(
      try await plane.run("create", "migration", "m", "-n", "shop", "-c", "nope", "--wait", "--timeout", "5m") == 3)
    let list = try await plane.send("GET", "\(Self.stork)/migrations")
    #expect(list["items"] == .array([]))
    #expect(try await plane.run("create", "migration", "m", "-n", "shop", "-c", "nope", "--timeout", "5x") == 2)
    try await plane.stop()
  }

  @Test("a pair without a mode is for disaster recovery when it is made here; an object without one keeps none")
  func pairMode() async throws {
    let plane = try await PlaneFixture()
    #expect(
      try await plane.run(
        "pair", "create", "site-b", "-n", "shop", "--ip", "10.0.0.9", "--token", "t", "--no-wait") == 0)
    let pair = try await plane.send("GET", "\(Self.stork)/namespaces/shop/clusterpairs/site-b")
    #expect(pair[at: "spec.options.mode"] == "DisasterRecovery")
    try await plane.stop()
  }

  @Test("the copy of a peer's schedule is not resumed")
  func copiesAreNotResumed() async throws {
    let plane = try await plane()
    #expect(
      try await plane.run(
        "create", "migrationschedules", "dr", "-n", "shop", "-c", "site-b", "--namespaces", "shop", "--suspend") == 0)
    _ = try await plane.send(
      "PATCH", "\(Self.stork)/namespaces/shop/migrationschedules/dr",
      body: ["metadata": ["annotations": ["stork.libopenstorage.org/static-copy": "true"]]],
      contentType: "application/merge-patch+json")
    #expect(try await plane.run("resume", "migrationschedule", "dr", "-n", "shop") == 4)
    #expect(try await schedule(plane, "dr")[at: "spec.suspend"] == true)
    try await plane.stop()
  }

  @Test("policies are written with the defaults of their type")
  func policies() async throws {
    let plane = try await PlaneFixture()
    #expect(try await plane.run("create", "schedulepolicy", "w", "-t", "weekly", "--time", "10:13PM") == 0)
    let weekly = try await plane.send("GET", "\(Self.stork)/schedulepolicies/w")
    #expect(weekly["policy"] == ["weekly": ["day": "sunday", "time": "10:13PM", "retain": 7]])
    #expect(try await plane.run("create", "sp", "d", "-t", "Daily") == 0)
    let daily = try await plane.send("GET", "\(Self.stork)/schedulepolicies/d")
    #expect(daily["policy"] == ["daily": ["time": "12:00AM", "forceFullSnapshotDay": "monday", "retain": 30]])
    #expect(try await plane.run("create", "sp", "x", "-t", "Daily", "--date-of-month", "3") == 2)
    #expect(try await plane.run("create", "sp", "x", "-t", "Monthly", "--date-of-month", "32") == 2)
    #expect(try await plane.run("create", "sp", "d") == 4)
    try await plane.stop()
  }

  /// A workload as a migration leaves it.
  private func workload(_ kind: String, _ name: String, _ spec: JSONValue, _ annotations: JSONValue) -> JSONValue {
    [
      "apiVersion": kind == "CronJob" ? "batch/v1" : "apps/v1", "kind": .string(kind),
      "metadata": ["name": .string(name), "namespace": "shop", "annotations": annotations], "spec": spec,
    ]
  }

  private func makeWorkloads(_ plane: PlaneFixture) async throws {
    let labels: JSONValue = ["app": "x"]
    let pod: JSONValue = ["containers": [["name": "x", "image": "x"]]]
    let job: JSONValue = [
      "spec": ["template": ["spec": ["restartPolicy": "Never", "containers": [["name": "x", "image": "x"]]]]]
    ]
    func scaled(_ more: [String: JSONValue] = [:]) -> JSONValue {
      let fields: [String: JSONValue] = [
        "replicas": 0, "selector": ["matchLabels": labels],
        "template": ["metadata": ["labels": labels], "spec": pod],
      ]
      return .object(fields.merging(more) { $1 })
    }
    func cron(_ suspend: Bool) -> JSONValue {
      ["suspend": .bool(suspend), "schedule": "* * * * *", "jobTemplate": job]
    }
    let all: [(String, JSONValue)] = [
      (
        "apps/v1/namespaces/shop/deployments",
        workload("Deployment", "web", scaled(), ["stork.libopenstorage.org/migrationReplicas": "3"])
      ),
      (
        "apps/v1/namespaces/shop/statefulsets",
        workload(
          "StatefulSet", "db", scaled(["serviceName": "db"]), ["stork.openstorage.org/migrationReplicas": "2"])
      ),
      (
        "batch/v1/namespaces/shop/cronjobs",
        workload("CronJob", "theirs", cron(true), ["stork.libopenstorage.org/migrated": "true"])
      ), ("batch/v1/namespaces/shop/cronjobs", workload("CronJob", "mine", cron(true), ["note": "own"])),
    ]
    for (path, object) in all { _ = try await plane.send("POST", "apis/\(path)", body: object) }
  }

  @Test("activation starts what migrations brought, by either spelling of the annotation, and nothing else")
  func activation() async throws {
    let plane = try await plane()
    try await makeWorkloads(plane)
    #expect(
      try await plane.run(
        "create", "migrationschedules", "dr", "-n", "shop", "-c", "site-b", "--namespaces", "shop", "--suspend") == 0)
    func replicas(_ path: String) async throws -> JSONValue? {
      try await plane.send("GET", "apis/apps/v1/namespaces/shop/\(path)")[at: "spec.replicas"]
    }
    func suspended(_ name: String) async throws -> JSONValue? {
      try await plane.send("GET", "apis/batch/v1/namespaces/shop/cronjobs/\(name)")[at: "spec.suspend"]
    }
    #expect(try await plane.run("activate", "migrations", "shop") == 0)
    #expect(try await replicas("deployments/web") == 3)
    #expect(try await replicas("statefulsets/db") == 2)
    #expect(try await suspended("theirs") == false)
    #expect(try await suspended("mine") == true, "a job that no migration brought is not touched")
    #expect(try await schedule(plane, "dr")[at: "status.applicationActivated"] == true)
    #expect(try await plane.run("deactivate", "migrations", "-a") == 0)
    #expect(try await replicas("deployments/web") == 0)
    #expect(try await suspended("theirs") == true)
    #expect(try await plane.run("activate", "migrations", "nowhere") == 3)
    try await plane.stop()
  }

  @Test("nothing is started on volumes that are held for another site; stopping is always possible")
  func standbyVolumes() async throws {
    let plane = try await plane()
    try await makeWorkloads(plane)
    func volume(_ standby: JSONValue?) -> JSONValue {
      [
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": ["name": "pv", "annotations": standby.map { ["repl-agent/standby": $0] } ?? [:]],
        "spec": [
          "capacity": ["storage": "1Gi"], "accessModes": ["ReadWriteOnce"], "hostPath": ["path": "/pool/db.img"],
          "claimRef": ["namespace": "shop", "name": "db"],
        ],
      ]
    }
    func replicas() async throws -> JSONValue? {
      try await plane.send("GET", "apis/apps/v1/namespaces/shop/deployments/web")[at: "spec.replicas"]
    }
    _ = try await plane.send("POST", "api/v1/persistentvolumes", body: volume("true"))
    #expect(try await plane.run("activate", "migrations", "shop") == 4)
    #expect(try await plane.run("activate", "migrations", "-a") == 4)
    #expect(try await replicas() == 0, "nothing was changed")
    #expect(try await plane.run("activate", "migrations", "default") == 0, "other namespaces are not concerned")
    #expect(try await plane.run("deactivate", "migrations", "shop") == 0)
    _ = try await plane.send("DELETE", "api/v1/persistentvolumes/pv")
    _ = try await plane.send("POST", "api/v1/persistentvolumes", body: volume(nil))
    #expect(try await plane.run("activate", "migrations", "shop") == 0)
    #expect(try await replicas() == 3)
    try await plane.stop()
  }

  @Test("a failback makes an Action with both blocks; a failover is refused where the schedule is no copy")
  func actions() async throws {
    let plane = try await plane()
    #expect(
      try await plane.run(
        "create", "migrationschedules", "dr", "-n", "shop", "-c", "site-b", "--namespaces", "shop", "--suspend") == 0)
    #expect(try await plane.run("perform", "failover", "-m", "dr", "-n", "shop") == 4)
    #expect(try await plane.run("perform", "failover", "-n", "shop") == 2)
    #expect(try await plane.run("perform", "failback", "-m", "nope", "-n", "shop") == 3)
    #expect(
      try await plane.run("perform", "failback", "-m", "dr", "-n", "shop", "--include-namespaces", "other") == 2)
    #expect(try await plane.run("perform", "failback", "-m", "dr", "-n", "shop") == 4, "nothing carries it out")
    let list = try await plane.send("GET", "\(Self.stork)/namespaces/shop/actions")
    let action = try #require(list["items"]?.array?.first)
    #expect(Field.text(action, "metadata.name").hasPrefix("failback-dr-2"))
    #expect(action[at: "spec.actionType"] == "failback")
    let blocks = action[at: "spec.actionParameter"]
    #expect(blocks?["failbackParameter"]?["failbackNamespaces"] == ["shop"])
    #expect(blocks?["failbackParameter"]?["migrationScheduleReference"] == "dr")
    #expect(blocks?["failoverParameter"]?["migrationScheduleReference"] == "")
    #expect(action[at: "status.stage"] == "Final" && action[at: "status.status"] == "Failed")
    #expect(Field.text(action, "status.reason").hasPrefix("failover and failback are not carried out by this version"))
    #expect(ActionView.failback.shows(action))
    #expect(try await plane.run("get", "failback", "-n", "shop") == 0)
    _ = try await plane.wait("api/v1/namespaces/shop/events") { events in
      (events["items"]?.array ?? []).contains {
        $0[at: "involvedObject.kind"] == "Action" && $0["type"] == "Warning"
          && $0["message"] == action[at: "status.reason"]
      }
    }
    try await plane.stop()
  }

  @Test("a domain must be known before it is activated")
  func domains() async throws {
    let plane = try await PlaneFixture()
    #expect(try await plane.run("activate", "clusterdomain", "dc-west") == 3)
    _ = try await plane.send(
      "POST", "\(Self.stork)/clusterdomainsstatuses",
      body: [
        "apiVersion": "stork.libopenstorage.org/v1alpha1", "kind": "ClusterDomainsStatus", "metadata": ["name": "m"],
        "status": [
          "localDomain": "dc-east",
          "clusterDomainInfos": [["name": "dc-west", "state": "Inactive", "syncStatus": "NotInSync"]],
        ],
      ])
    #expect(try await plane.run("activate", "clusterdomain", "--all", "--name", "up") == 4, "nothing switches it")
    let update = try await plane.send("GET", "\(Self.stork)/clusterdomainupdates/up")
    #expect(update["spec"] == ["clusterdomain": "dc-west", "active": true])
    #expect(update[at: "status.status"] == "Failed")
    #expect(Field.text(update, "status.reason").hasPrefix("unable to activate cluster domain: "))
    #expect(try await plane.run("activate", "clusterdomain", "dc-west", "--wait") == 4)
    #expect(try await plane.run("deactivate", "clusterdomain") == 2)
    try await plane.stop()
  }

  @Test("a migration is checked without being made")
  func dryRun() async throws {
    let plane = try await plane()
    #expect(try await plane.run("create", "migrations", "m", "-n", "shop", "-c", "site-b", "--dry-run") == 0)
    #expect(try await plane.run("create", "migrations", "m", "-n", "shop", "-c", "nope", "--dry-run") == 4)
    let list = try await plane.send("GET", "\(Self.stork)/namespaces/shop/migrations")
    #expect(list["items"] == .array([]))
    try await plane.stop()
  }

  @Test("what does not exist is code 3, and nothing is an answer too")
  func notFound() async throws {
    let plane = try await PlaneFixture()
    #expect(try await plane.run("get", "migrations", "nope") == 3)
    #expect(try await plane.run("get", "migrations", "nope", "-A") == 3)
    #expect(try await plane.run("get", "migrations") == 0)
    #expect(try await plane.run("get", "frobs") == 2)
    #expect(try await plane.run("frob") == 2)
    #expect(try await plane.run("kubeconfig") == 4, "connections of this very process come from the listener")
    try await plane.stop()
  }
}
