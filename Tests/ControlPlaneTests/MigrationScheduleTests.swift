import APIModel
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

private let name = "mysqlmigrationschedule"

@Suite("MigrationSchedules")
struct MigrationScheduleTests {
  @Test("the documents' schedule makes one Migration a minute, one after the other, named by UTC")
  func everyMinute() async throws {
    let world = try await ScheduleWorld(zone: "Asia/Kolkata", at: "2019-02-16T00:40:52Z")
    try await world.prepare()
    try await world.schedule()
    try await world.settle()
    #expect(try await world.migrationNames == ["\(name)-interval-2019-02-16-004052"])
    let item = try #require(try await world.items("Interval").first)
    #expect(item["status"] == "Successful" && item["creationTimestamp"] == "2019-02-16T00:40:52Z")
    #expect(item["finishTimestamp"] == "2019-02-16T00:40:52Z")
    try await world.run(seconds: 300)
    let final = try await world.items("Interval")
    #expect(final.map { $0["name"] } == [.string("\(name)-interval-2019-02-16-004552")])
    #expect(try world.triggers("fired", "Interval") == 6 && world.triggers("missed", "Interval") == 0)
    #expect(try await world.migrationNames.count == 1)
    #expect(await world.service.started.count == 6)
    #expect(
      try await world.told(name).contains(
        "Normal/Successful/Scheduled migration (\(name)-interval-2019-02-16-004152) completed successfully"))
  }

  @Test("status and spec have the fields that people see in kubectl describe")
  func shape() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.schedule()
    await world.service.failStarting(ReplError(.transient, subject: "peer", cause: "no answer"))
    try await world.settle()
    let schedule = try await world.object(.migrationSchedule, name)
    #expect(schedule.spec["suspend"] == false && schedule.spec["autoSuspend"] == false)
    #expect(schedule.json[at: "spec.template.spec.preExecRule"] == "")
    #expect(schedule.json[at: "spec.template.spec.selectors"] == .null)
    #expect(schedule.finalizers == [Stork.finalizer])
    let item = try #require(try await world.items("Interval").first)
    #expect(Set((item.object ?? [:]).keys) == ["name", "creationTimestamp", "finishTimestamp", "status"])
    #expect(item["finishTimestamp"] == .null)
  }

  @Test("a Migration is owned by its schedule and carries its annotations and its template")
  func generated() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.schedule()
    try await world.change(.migrationSchedule, name, "metadata.annotations", ["team": "db"])
    try await world.settle()
    let made = try await world.object(.migration, try #require(try await world.migrationNames.first))
    let owner = try #require(made.metadata["ownerReferences"]?.array?.first)
    #expect(owner["kind"] == "MigrationSchedule" && owner["name"] == .string(name))
    #expect(owner["controller"] == nil && owner["blockOwnerDeletion"] == nil)
    #expect(made.annotations["team"] == "db" && made.annotations[ScheduledMigration.scheduleName] == name)
    #expect(made.spec["clusterPair"] == "remotecluster" && made.spec["namespaces"] == ["mysql"])
  }

  @Test("runs do not overlap: while one is under way nothing is due")
  func noOverlap() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    await world.service.failStarting(ReplError(.transient, subject: "peer", cause: "no answer"))
    try await world.schedule()
    try await world.settle()
    try await world.run(seconds: 600, step: 60)
    #expect(try await world.migrationNames.count == 1)
    await world.service.failStarting(nil)
    try await world.run(seconds: 60)
    #expect(await world.service.started.count == 2, "the one that waited, and the next")
  }

  @Test("all four sections work together, each with its own list")
  func allSections() async throws {
    let world = try await ScheduleWorld(at: "2019-02-14T20:00:00Z")
    try await world.prepare(policy: [
      "interval": ["intervalMinutes": 30], "daily": ["time": "10:14PM"],
      "weekly": ["day": "Thursday", "time": "10:13PM"],
      "monthly": ["date": 14, "time": "8:05PM"],
    ])
    try await world.schedule()
    try await world.settle()
    try await world.run(seconds: 3 * 3_600, step: 60)
    let names = try await world.migrationNames
    #expect(names.contains("\(name)-monthly-2019-02-14-200500"))
    #expect(names.contains("\(name)-weekly-2019-02-14-221300"))
    #expect(names.contains("\(name)-daily-2019-02-14-221400"))
    #expect(names.count == 4)
  }

  @Test("lists keep the last good run and what failed or runs after it")
  func pruning() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.schedule()
    try await world.settle()
    await world.service.failStarting(ReplError(.refused, subject: "volume", cause: "fenced"))
    try await world.run(seconds: 180)
    #expect(try await world.items("Interval").map { $0["status"] } == ["Successful", "Failed", "Failed", "Failed"])
    #expect(try await world.migrationNames.count == 4)
    #expect(try await world.told(name).contains { $0.hasPrefix("Warning/Failed/Scheduled migration (") })
    await world.service.failStarting(nil)
    try await world.run(seconds: 60)
    #expect(try await world.items("Interval").map { $0["status"] } == ["Successful"])
    #expect(try await world.migrationNames.count == 1)
  }

  @Test("a schedule that always fails keeps a bounded list")
  func boundedList() {
    var status = ScheduleStatus()
    status.items[.interval] = (0..<80).map {
      ScheduleItem(name: "m\($0)", created: Int64($0), finished: 1, status: .failed)
    }
    let (pruned, names) = status.pruned()
    #expect(pruned.items[.interval]?.count == ScheduleStatus.itemLimit && names.count == 30)
    #expect(pruned.items[.interval]?.last?.name == "m79")
  }

  @Test("suspend stops triggers and nothing else; resume fires an interval at once and no calendar instant gone by")
  func suspend() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare(policy: ["interval": ["intervalMinutes": 5], "daily": ["time": "12:30pm"]])
    try await world.schedule()
    try await world.settle()
    try await world.change(.migrationSchedule, name, "spec.suspend", true)
    try await world.run(seconds: 2 * 3_600, step: 300)
    #expect(await world.service.started.count == 1)
    try await world.change(.migrationSchedule, name, "spec.suspend", false)
    try await world.settle()
    #expect(await world.service.started.count == 2)
    #expect(try await world.items("Daily").isEmpty)
    #expect(try await world.told(name).allSatisfy { !$0.contains("Missed") })
  }

  @Test("a calendar trigger that nobody was there for is told of once and not made up for")
  func missed() async throws {
    let world = try await ScheduleWorld(at: "2026-03-01T12:00:00Z")
    try await world.prepare(policy: ["daily": ["time": "10:14PM"]])
    try await world.schedule()
    try await world.settle()
    try world.set("2026-03-03T23:30:00Z")
    world.restart()
    try await world.settle()
    world.restart()
    try await world.run(seconds: 60)
    let missed = try await world.store.list(ListQuery(.event)).items.filter { $0.json["reason"] == "Missed" }
    #expect(missed.count == 1 && missed.first?.json["count"] == 1)
    let message = missed.first?.json["message"]?.string ?? ""
    #expect(message.contains("Daily trigger of 2026-03-03T22:14:00Z and 2 before it:"))
    #expect(try world.triggers("missed", "Daily") == 3 && world.triggers("fired", "Daily") == 0)
    #expect(await world.service.started.isEmpty)
  }

  @Test("a policy that is given an hour which has passed today has missed nothing")
  func changedPolicy() async throws {
    let world = try await ScheduleWorld(at: "2026-03-01T00:00:00Z")
    try await world.prepare(policy: ["daily": ["time": "10:14PM"]])
    try await world.schedule()
    try await world.settle()
    try world.set("2026-03-01T15:00:00Z")
    try await world.change(.schedulePolicy, "testpolicy", "policy.daily.time", "8:00AM")
    try await world.run(seconds: 60)
    #expect(try await world.told(name).isEmpty)
    try world.set("2026-03-02T08:00:05Z")
    try await world.settle()
    #expect(try await world.items("Daily").count == 1)
  }

  @Test("a missing or invalid policy is told of on the schedule")
  func badPolicy() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.schedule("a", policy: "nosuch")
    try await world.schedule("b", policy: "")
    try await world.create(.schedulePolicy, "", "bad", ["policy": ["daily": ["time": "13:15pm"]]])
    try await world.schedule("c", policy: "bad")
    try await world.settle()
    let prefix = "Warning/Failed/Error checking if migration should be triggered: "
    #expect(try await world.told("a") == [prefix + "schedulepolicy nosuch not found in cache"])
    #expect(try await world.told("b") == [prefix + "schedulepolicy  not found in cache"])
    #expect(
      try await world.told("c") == [
        prefix + #"Invalid time (13:15pm) in Daily policy: parsing time "13:15pm": hour out of range"#
      ])
    #expect(try await world.migrationNames.isEmpty)
  }

  @Test("a policy of the namespace goes before one of the cluster, whenever it is made")
  func namespacedPolicy() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare(policy: ["interval": ["intervalMinutes": 60]])
    try await world.schedule()
    try await world.settle()
    try await world.create(
      .namespacedSchedulePolicy, "mysql", "testpolicy", ["policy": ["interval": ["intervalMinutes": 2]]])
    try await world.run(seconds: 240, step: 60)
    #expect(await world.service.started.count == 3)
  }

  @Test("without its pair a schedule says so and goes on when it is there")
  func noPair() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.schedule("s", policy: "testpolicy", ["template": ["spec": ["clusterPair": "gone"]]])
    try await world.settle()
    #expect(
      try await world.told("s") == [
        "Warning/Failed/error getting clusterpair (mysql/gone): "
          + "clusterpairs.stork.libopenstorage.org \"gone\" not found"
      ])
    #expect(try await world.migrationNames.isEmpty)
  }

  @Test("deleting a schedule cancels and deletes its Migrations before it goes")
  func deletion() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    await world.service.failStarting(ReplError(.transient, subject: "peer", cause: "no answer"))
    try await world.schedule()
    try await world.settle()
    #expect(try await world.migrationNames.count == 1)
    _ = try await world.store.delete(
      .migrationSchedule, namespace: "mysql", name: name, options: DeleteOptions(propagation: .foreground))
    _ = try await world.pass()
    try await world.settle()
    #expect(try await world.store.list(ListQuery(.migrationSchedule)).items.isEmpty)
    #expect(try await world.migrationNames.isEmpty)
  }

  @Test("a Migration that somebody deletes is told of and its run counted as failed")
  func deletedMigration() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    await world.service.failStarting(ReplError(.transient, subject: "peer", cause: "no answer"))
    try await world.schedule()
    try await world.settle()
    let made = try #require(try await world.migrationNames.first)
    _ = try await world.store.delete(.migration, namespace: "mysql", name: made, options: DeleteOptions())
    try await world.settle()
    #expect(try await world.items("Interval").map { $0["status"] } == ["Failed"])
    #expect(
      try await world.told(name).contains(
        "Warning/Failed/Error getting status of migration \(made): migrations.stork.libopenstorage.org \"\(made)\" not found"
      ))
  }

  @Test("names stay within what a name may be")
  func longNames() {
    let long = String(repeating: "a", count: 219) + "." + String(repeating: "b", count: 33)
    let made = ScheduledMigration.name(schedule: long, type: .interval, at: 1_550_182_611)
    #expect(made.utf8.count <= 253 && made.hasSuffix("-interval-2019-02-14-221651"))
    #expect(ResourceKind.isSubdomain(made))
    let dot = String(repeating: "a", count: 225) + "." + String(repeating: "b", count: 27)
    #expect(ResourceKind.isSubdomain(ScheduledMigration.name(schedule: dot, type: .interval, at: 0)))
  }
}

@Suite("MigrationSchedules across restarts and clock steps")
struct MigrationScheduleCrashTests {
  @Test("an item whose Migration was not made before the end of the process gets it after the start, once")
  func itemWithoutMigration() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.schedule()
    _ = try await world.schedules.reconcile(ObjectKey(namespace: "mysql", name: name))
    let made = try #require(try await world.migrationNames.first)
    _ = try await world.store.delete(.migration, namespace: "mysql", name: made, options: DeleteOptions())
    world.restart()
    try await world.settle()
    #expect(try await world.migrationNames == [made])
    #expect(try await world.items("Interval").map { $0["status"] } == ["Successful"])
    #expect(await world.service.started.count == 1)
  }

  @Test("a restart after every single step makes exactly one Migration per trigger")
  func restartsEverywhere() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.schedule()
    for _ in 0..<60 {
      world.restart()
      _ = try await world.pass()
      world.clock.advance(3)
    }
    // 180 seconds and a period of a minute.
    #expect(await world.service.started.map(\.reference.name).count == 3)
    #expect(Set(await world.service.started.map(\.reference.name)).count == 3)
  }

  @Test("a process that ends at any single write leaves one Migration per trigger, and each comes to its end")
  func everyWrite() async throws {
    for written in [false, true] {
      for last in 1...20 {
        let world = try await ScheduleWorld()
        try await world.prepare()
        try await world.schedule()
        world.door.live(until: last, written: written)
        try await world.settle()
        world.clock.advance(61)
        try await world.settle()
        world.door.live(until: nil)
        world.restart()
        try await world.settle()
        try await world.run(seconds: 120, step: 30)
        let runs = await world.service.started.map(\.reference.name)
        let place = "write \(last), \(written ? "durable" : "lost")"
        // One by one, at least a minute apart, and each object made once: names are times.
        #expect(Set(await world.service.started.map(\.reference.uid)).count == Set(runs).count, "\(place)")
        #expect(Set(runs).count == 3 || Set(runs).count == 4, "\(place): \(runs)")
        #expect(try await world.items("Interval").map { $0["status"] } == ["Successful"], "\(place)")
        #expect(try await world.migrationNames.count == 1, "\(place)")
        #expect(try await world.told(name).allSatisfy { !$0.hasPrefix("Warning") }, "\(place)")
      }
    }
  }

  @Test("a clock that goes back by more than a period neither repeats a run nor stops the schedule")
  func clockBack() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.schedule()
    try await world.settle()
    try await world.run(seconds: 180)
    world.clock.advance(-180)
    try await world.settle()
    try await world.run(seconds: 180)
    let runs = await world.service.started.map(\.reference.uid)
    #expect(Set(runs).count == runs.count)
    // One at the start, three, one when the clock went back, three.
    #expect(runs.count == 8)
  }

  @Test("a clock that goes back behind a daily run does not repeat it")
  func clockBackBehindADailyRun() async throws {
    let world = try await ScheduleWorld(at: "2026-03-01T12:00:00Z")
    try await world.prepare(policy: ["daily": ["time": "10:14PM"]])
    try await world.schedule()
    try world.set("2026-03-01T22:14:30Z")
    try await world.settle()
    #expect(await world.service.started.count == 1)
    // Before the instant, and then between it and the run that was made for it.
    for time in ["21:00:00", "22:14:10"] {
      try world.set("2026-03-01T\(time)Z")
      world.restart()
      try await world.settle()
    }
    #expect(await world.service.started.count == 1)
    try world.set("2026-03-02T22:14:30Z")
    try await world.settle()
    #expect(await world.service.started.count == 2)
  }

  @Test("a clock that goes forward over several periods makes one run")
  func clockForward() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.schedule()
    try await world.settle()
    world.clock.advance(7_200)
    try await world.settle()
    #expect(await world.service.started.count == 2)
  }

  @Test("the time to the next look is that to the next trigger, and short enough to notice a step of the clock")
  func delays() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.schedule()
    try await world.settle()
    let key = ObjectKey(namespace: "mysql", name: name)
    #expect(try await world.schedules.reconcile(key) == .seconds(10))
    world.clock.advance(57)
    #expect(try await world.schedules.reconcile(key) == .seconds(3))
  }
}

@Suite("MigrationSchedules and their copies at the peer")
struct SchedulePeerTests {
  @Test("a copy is made at the first look and renewed when the template has changed")
  func copies() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.schedule()
    try await world.settle()
    #expect(world.peers.copies.count == 1 && world.peers.puts == 1)
    try await world.run(seconds: 60)
    #expect(world.peers.puts == 1)
    try await world.change(.migrationSchedule, name, "spec.template.spec.purgeDeletedResources", true)
    try await world.run(seconds: 60)
    #expect(world.peers.puts == 2)
    #expect(world.peers.copies["mysql/\(name)"]?.json[at: "spec.template.spec.purgeDeletedResources"] == true)
  }

  @Test("a peer that cannot be reached does not stop a schedule")
  func unreachable() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    world.peers.fail(ReplError(.transient, subject: "peer", cause: "no answer"))
    try await world.schedule()
    try await world.run(seconds: 120)
    #expect(await world.service.started.count == 2)
    #expect(try await world.told(name).contains { $0.contains("migrations go on without: peer: no answer") })
  }

  @Test("a schedule of its own at the peer stops this one until one of them is renamed")
  func foreign() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    world.peers.setForeign(true)
    try await world.schedule()
    try await world.run(seconds: 120)
    #expect(try await world.migrationNames.isEmpty)
    #expect(
      try await world.told(name) == [
        "Warning/Failed/a non static-copy migrationSchedule with the same name and namespace found in the remote cluster"
      ])
    world.peers.setForeign(false)
    try await world.run(seconds: 10)
    #expect(try await world.migrationNames.count == 1)
  }

  @Test("with autoSuspend, applications that run at the peer suspend the schedule; without, its Migrations fail")
  func activated() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.schedule("auto", policy: "testpolicy", ["autoSuspend": true])
    try await world.schedule("plain")
    try await world.settle()
    world.peers.setActivated(true)
    try await world.run(seconds: 70)
    #expect(try await world.object(.migrationSchedule, "auto").spec["suspend"] == true)
    #expect(
      try await world.told("auto").contains(
        "Warning/Suspended/Suspending migration schedule since migrated apps on remote cluster are active"))
    let failed = try #require(try await world.items("Interval", of: "plain").last)
    #expect(failed["status"] == "Failed")
    #expect(
      try await world.told(failed["name"]?.string ?? "").contains(
        "Warning/Failed/migrated applications are active on remote cluster"))
  }

  @Test("a copy that a peer has put here never triggers")
  func staticCopy() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.schedule()
    try await world.change(
      .migrationSchedule, name, "metadata.annotations", .object([MigrationMark.staticCopy: "true"]))
    try await world.run(seconds: 120)
    #expect(try await world.migrationNames.isEmpty && world.peers.puts == 0)
  }
}
