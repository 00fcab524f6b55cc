import AgentService
import APIModel
import Logging
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers
@testable import ReplCtl

private let root = "apis/stork.libopenstorage.org/v1alpha1/namespaces/shop"

/// Reconcilers in a live control plane.
@Suite struct ReconcilerTests {
  private func plane(paired: Bool = true) async throws -> PlaneFixture {
    let plane = try await PlaneFixture()
    _ = try await plane.send("POST", "agent/v1/volumes", body: ["namespace": "shop", "name": "db", "size": "1Gi"])
    if paired {
      _ = try await plane.send("POST", "\(root)/clusterpairs", body: pair())
      _ = try await plane.wait("\(root)/clusterpairs/b") { $0[at: "status.storageStatus"] == "Ready" }
    }
    return plane
  }

  private func pair() -> JSONValue {
    [
      "apiVersion": "stork.libopenstorage.org/v1alpha1", "kind": "ClusterPair", "metadata": ["name": "b"],
      "spec": ["options": ["ip": "h", "token": .string(FakeService.token)]],
    ]
  }

  private func migration(_ name: String = "m") -> JSONValue {
    [
      "apiVersion": "stork.libopenstorage.org/v1alpha1", "kind": "Migration", "metadata": ["name": .string(name)],
      "spec": ["clusterPair": "b", "namespaces": ["shop"]],
    ]
  }

  /// Waits for an event, since events are written after what they tell of.
  private func expect(_ plane: PlaneFixture, message: String) async throws {
    _ = try await plane.wait("api/v1/namespaces/shop/events") { events in
      (events["items"]?.array ?? []).contains { $0["message"]?.string == message }
    }
  }

  @Test func aMigrationRunsToItsEndWithStatusSummaryAndEvents() async throws {
    let plane = try await plane()
    _ = try await plane.send("POST", "\(root)/migrations", body: migration())
    let running = try await plane.wait("\(root)/migrations/m") { $0[at: "status.volumes"]?.array != nil }
    let uid = KubeObject(running).uid
    #expect(running[at: "status.stage"] == "Volumes" && running[at: "spec.includeVolumes"] == true)
    _ = try await plane.wait("\(root)/migrations/m") {
      $0[at: "status.volumes"]?.array?.first?["changeSource"] == "full"
    }
    await plane.service.changeRun(uid) { run in
      run.state = .succeeded
      run.volumes[0].state = .succeeded
      run.volumes[0].proof = "full"
    }
    let final = try await plane.wait("\(root)/migrations/m") { $0[at: "status.stage"] == "Final" }
    #expect(final[at: "status.status"] == "Successful")
    #expect(final[at: "status.summary.numOfMigratedVolumes"] == 1)
    #expect(final[at: "status.volumes"]?.array?.first?["proof"] == "full")
    #expect(Timestamp.seconds(final[at: "status.finishTimestamp"]?.string ?? "") != nil)
    let volume = final[at: "status.volumes"]?.array?.first?["volume"]?.string ?? "none"
    try await expect(plane, message: "Volume \(volume) migrated successfully")
    try await plane.stop()
  }

  @Test func deletingAMigrationCancelsItsRun() async throws {
    let plane = try await plane()
    _ = try await plane.send("POST", "\(root)/migrations", body: migration())
    let running = try await plane.wait("\(root)/migrations/m") { $0[at: "status.status"] == "InProgress" }
    while await plane.service.started.isEmpty { await Task.yield() }
    _ = try await plane.send("DELETE", "\(root)/migrations/m")
    _ = try await plane.wait("\(root)/migrations") { $0["items"] == [] }
    #expect(await plane.service.cancelled == [KubeObject(running).uid])
    try await plane.stop()
  }

  @Test func aMigrationWaitsForItsPairAndSaysSo() async throws {
    let plane = try await plane(paired: false)
    _ = try await plane.send("POST", "\(root)/migrations", body: migration())
    let missing =
      "Error migrating volumes: cluster pair storage status is not ready. Status:  Err: error getting clusterpair b "
      + "(shop): clusterpairs.stork.libopenstorage.org \"b\" not found"
    _ = try await plane.wait("\(root)/migrations/m") { $0[at: "status.reason"] == .string(missing) }
    try await expect(plane, message: missing)
    _ = try await plane.send("POST", "\(root)/clusterpairs", body: pair())
    _ = try await plane.wait("\(root)/migrations/m") { $0[at: "status.status"] == "InProgress" }
    try await plane.stop()
  }

  @Test func aRestartGoesOnWithTheSameVolumes() async throws {
    let first = try await plane()
    _ = try await first.send("POST", "\(root)/migrations", body: migration())
    let running = try await first.wait("\(root)/migrations/m") { $0[at: "status.status"] == "InProgress" }
    let held = await first.service.held
    try await first.stop()
    let second = try await PlaneFixture(first.directory)
    // The new engine knows nothing yet: pairs are proven again, the run is asked for again.
    while await second.service.started.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
    let request = try #require(await second.service.started.first)
    #expect(request.reference.uid == KubeObject(running).uid)
    #expect(request.volumes.map(\.description) == held.map(\.id))
    try await second.stop()
  }

  @Test func aRefusalToStartIsFinalAndATransientOneIsNot() async throws {
    let plane = try await plane()
    await plane.service.failStarting(ReplError(.transient, subject: "peer", cause: "no answer"))
    _ = try await plane.send("POST", "\(root)/migrations", body: migration())
    _ = try await plane.wait("\(root)/migrations/m") {
      $0[at: "status.reason"]?.string?.hasSuffix("peer: no answer") == true
    }
    await plane.service.failStarting(ReplError(.refused, subject: "volume shop/db", cause: "fenced"))
    let final = try await plane.wait("\(root)/migrations/m") { $0[at: "status.stage"] == "Final" }
    #expect(final[at: "status.status"] == "Failed")
    #expect(final[at: "status.volumes"]?.array?.first?["reason"] == "volume shop/db: fenced")
    try await plane.stop()
  }

  @Test func aVolumeTheAgentDoesNotKnowFailsTheMigrationByName() async throws {
    let plane = try await plane()
    await plane.service.forgetVolumes()
    _ = try await plane.send("POST", "\(root)/migrations", body: migration())
    let final = try await plane.wait("\(root)/migrations/m") { $0[at: "status.stage"] == "Final" }
    #expect(final[at: "status.status"] == "Failed")
    #expect(final[at: "status.reason"]?.string?.contains("shop/db: the agent has no volume shop/db") == true)
    try await plane.stop()
  }

  @Test func aDeadPeerShowsUpAndRecovers() async throws {
    let plane = try await plane()
    await plane.service.setReady(false, reason: "no heartbeat for 10 s")
    let dead = try await plane.wait("\(root)/clusterpairs/b") { $0[at: "status.storageStatus"] == "Degraded" }
    #expect(dead[at: "status.reason"] == "no heartbeat for 10 s")
    #expect(dead[at: "status.remoteStorageId"] == "site-b")
    await plane.service.setReady(true)
    _ = try await plane.wait("\(root)/clusterpairs/b") { $0[at: "status.storageStatus"] == "Ready" }
    #expect(await plane.service.pairCalls == 1)
    try await plane.stop()
  }

  @Test("a schedule runs in the live control plane, and deleting it takes its Migrations along")
  func schedule() async throws {
    let plane = try await plane()
    await plane.service.finishRunsAtOnce()
    let policies = try await plane.send("GET", "apis/stork.libopenstorage.org/v1alpha1/schedulepolicies")
    #expect(policies["items"]?.array?.count == 5)
    _ = try await plane.send(
      "POST", "\(root)/migrationschedules",
      body: [
        "apiVersion": "stork.libopenstorage.org/v1alpha1", "kind": "MigrationSchedule", "metadata": ["name": "s"],
        "spec": [
          "schedulePolicyName": "default-migration-policy",
          "template": ["spec": ["clusterPair": "b", "namespaces": ["shop"]]],
        ],
      ])
    let run = try await plane.wait("\(root)/migrationschedules/s") {
      $0[at: "status.items.Interval"]?.array?.first?["status"] == "Successful"
    }
    let name = run[at: "status.items.Interval"]?.array?.first?["name"]?.string ?? ""
    #expect(name.hasPrefix("s-interval-20"))
    try await expect(plane, message: "Scheduled migration (\(name)) completed successfully")
    _ = try await plane.send("DELETE", "\(root)/migrationschedules/s")
    _ = try await plane.wait("\(root)/migrations") { $0["items"] == [] }
    _ = try await plane.wait("\(root)/migrationschedules") { $0["items"] == [] }
    try await plane.stop()
  }

  @Test func aTokenNeverReachesEventsStatusOrLogs() async throws {
    let plane = try await plane(paired: false)
    let token = FakeService.token
    await plane.service.failPairing(
      ReplError(
        .unauthenticated, subject: "pair", cause: "token \(token) was refused", remedy: "use another than \(token)"))
    _ = try await plane.send("POST", "\(root)/clusterpairs", body: pair())
    let failed = try await plane.wait("\(root)/clusterpairs/b") { $0[at: "status.storageStatus"] == "Error" }
    #expect(failed[at: "status.reason"]?.string?.contains("[token]") == true)
    #expect(failed["status"]?.compactText.contains(token) == false)
    while await plane.service.subscriberCount == 0 { await Task.yield() }
    await plane.service.emit(
      EngineEvent(
        object: ObjectReference(kind: "ClusterPair", namespace: "shop", name: "b", uid: KubeObject(failed).uid),
        warning: true, reason: "Error", message: "peer says: \(token)"))
    let events = try await plane.wait("api/v1/namespaces/shop/events") {
      ($0["items"]?.array ?? []).contains { $0["message"] == "peer says: [token]" }
    }
    #expect(!events.compactText.contains(token))
    try await plane.stop()
    #expect(!plane.log.all.contains { $0.contains(token) })
    #expect(plane.log.all.contains { $0.contains("[token]") })
  }
}

@Suite struct EventTests {
  private func recorder(_ fixture: StoreFixture) -> EventRecorder {
    let clock = fixture.clock
    return EventRecorder(store: fixture.store, logger: LogLines().logger, clock: { clock.now })
  }

  private func counts(_ fixture: StoreFixture) async throws -> [Int64] {
    try await fixture.store.list(ListQuery(.event)).items.compactMap { $0.json["count"]?.integer }.sorted()
  }

  @Test func equalEventsCountUpAndManySimilarOnesBecomeOne() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    let events = recorder(fixture)
    var object = ResourceKind.migration.object(namespace: "shop", name: "m")
    object[metadata: "uid"] = "u"
    for _ in 0..<3 { await events.record(object, warning: true, reason: "Equal", message: "same") }
    for number in 0..<12 { await events.record(object, warning: true, reason: "Failed", message: "message \(number)") }
    #expect(try await counts(fixture) == [1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3])
    let combined = try await fixture.store.list(ListQuery(.event)).items.filter {
      $0.json["message"]?.string?.hasPrefix("(combined from similar events): ") == true
    }
    #expect(combined.count == 1 && combined.first?.json[at: "involvedObject.uid"] == "u")
  }

  @Test("a success a minute is shown as in the documents: combined, counted, at most one write per five minutes")
  func aSuccessEveryMinute() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("mysql")
    let events = recorder(fixture)
    var object = ResourceKind.migrationSchedule.object(namespace: "mysql", name: "s")
    object[metadata: "uid"] = "u"
    for number in 0..<164 {
      await events.record(
        object, warning: false, reason: "Successful",
        message: "Scheduled migration (s-interval-\(number)) completed successfully")
      fixture.clock.advance(60)
    }
    let combined = try await fixture.store.list(ListQuery(.event)).items.filter {
      $0.json["message"]?.string?.hasPrefix("(combined from similar events): Scheduled migration (s-interval-1") == true
    }
    #expect(combined.count == 1)
    let event = try #require(combined.first)
    #expect((event.json["count"]?.integer ?? 0) > 140)
    let last = Timestamp.seconds(event.json["lastTimestamp"]?.string ?? "") ?? 0
    #expect(fixture.clock.now - last <= 360)
  }

  @Test func aFloodIsCutOffAndTimeLetsMoreThrough() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    let events = recorder(fixture)
    let object = ResourceKind.migration.object(namespace: "shop", name: "m")
    for number in 0..<40 { await events.record(object, warning: false, reason: "R\(number)", message: "x") }
    #expect(try await counts(fixture).count == 25)
    fixture.clock.advance(600)
    for number in 40..<50 { await events.record(object, warning: false, reason: "R\(number)", message: "x") }
    #expect(try await counts(fixture).count == 27)
  }

  @Test func oldEventsGoAndTheirNumberIsBounded() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    let events = recorder(fixture)
    let object = ResourceKind.migration.object(namespace: "shop", name: "m")
    for number in 0..<3 {
      await events.record(object, warning: false, reason: "R\(number)", message: "x")
      fixture.clock.advance(1_600)
    }
    await events.prune()
    #expect(
      try await fixture.store.list(ListQuery(.event)).items.compactMap { $0.json["reason"]?.string } == ["R1", "R2"])
    await events.prune(limit: 1)
    #expect(try await fixture.store.list(ListQuery(.event)).items.compactMap { $0.json["reason"]?.string } == ["R2"])
  }

  @Test func eventsOfClusterWideObjectsLiveInDefault() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("default")
    await recorder(fixture).record(
      ResourceKind.persistentVolume.object(name: "pv"), warning: false, reason: "R", message: "x")
    #expect(try await fixture.store.list(ListQuery(.event, namespace: "default")).items.count == 1)
  }
}

@Suite struct JSONTests {
  @Test(arguments: [
    "", "{", "[1,]", "{\"a\"}", "01", "1.", "+1", "nul", "\"\u{1}\"", "\"a", "\"\\x\"", "1 2", "{\"a\":1,}", "1e999",
    "'a'",
    "\u{feff}{}",
  ])
  func whatIsNotJSONIsRefused(_ text: String) {
    #expect(throws: JSONParser.Failure.self) { _ = try JSONParser.parse(text) }
  }

  @Test func everyValueSurvivesWritingAndReading() throws {
    let value: JSONValue = [
      "text": "a\"b\\c\n\u{1}é😀", "whole": .integer(.max), "least": .integer(.min), "half": .number(0.5),
      "list": [.null, true, []],
    ]
    #expect(try JSONParser.parse(value.compactText) == value)
    #expect(try JSONParser.parse(value.prettyText) == value)
    #expect(try JSONParser.parse(#""\ud83d\ude00\ud83d""#) == "😀\u{FFFD}")
  }

  @Test func nestingHasALimit() {
    let text = String(repeating: "[", count: 129) + String(repeating: "]", count: 129)
    #expect(throws: JSONParser.Failure.self) { _ = try JSONParser.parse(text) }
    #expect((try? JSONParser.parse(String(text.dropFirst().dropLast()))) != nil)
  }

  @Test(
    arguments: [
      ("4Gi", 4 << 30), ("1.5Gi", 3 << 29), ("500M", 500_000_000), ("1k", 1_000), ("12", 12), ("0.5Mi", 1 << 19),
    ] as [(String, UInt64)])
  func quantitiesAreRead(_ text: String, _ bytes: UInt64) { #expect(Quantity.bytes(text) == bytes) }

  @Test(arguments: ["", "Gi", "-1", "1.5", "x", "1Gix", "99999999999Ei", "1..5Gi", "1e3"])
  func badQuantitiesAreRefused(_ text: String) { #expect(Quantity.bytes(text) == nil) }

  @Test(
    arguments: [
      (0, "1970-01-01T00:00:00Z"), (1_550_182_611, "2019-02-14T22:16:51Z"), (951_782_400, "2000-02-29T00:00:00Z"),
      (-1, "1969-12-31T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] as [(Int64, String)])
  func timesAreWrittenAndRead(_ seconds: Int64, _ text: String) {
    #expect(Timestamp.text(seconds) == text)
    #expect(Timestamp.seconds(text) == seconds)
  }

  @Test func offsetsAndFractionsAreUnderstood() {
    #expect(Timestamp.seconds("2019-02-14T23:16:51.123456+01:00") == 1_550_182_611)
    #expect(Timestamp.seconds("2019-02-14") == nil)
  }

  @Test(
    arguments: [
      (5, "5s"), (119, "119s"), (185, "3m5s"), (720, "12m"), (9_840, "164m"), (18_120, "5h2m"), (273_600, "3d4h"),
    ] as [(Int64, String)])
  func agesAreShort(_ seconds: Int64, _ text: String) { #expect(DurationText.age(seconds) == text) }
}
