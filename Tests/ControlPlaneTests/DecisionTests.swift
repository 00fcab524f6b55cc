import AgentService
import APIModel
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite struct ClusterPairDecisionTests {
  private func object(_ options: JSONValue?, finalizer: Bool = true, deleting: Bool = false) -> KubeObject {
    var object = ResourceKind.clusterPair.object(namespace: "shop", name: "b")
    object[metadata: "uid"] = "u"
    if finalizer { object[metadata: "finalizers"] = [.string(Stork.finalizer)] }
    if deleting { object[metadata: "deletionTimestamp"] = "2026-01-01T00:00:00Z" }
    object.json["spec"] = ["options": options ?? .null]
    return object
  }

  private func report(_ host: String, ready: Bool, mode: PairMode = .default) -> PairReport {
    PairReport(
      reference: ObjectReference(kind: "ClusterPair", namespace: "shop", name: "b", uid: "u"), peerClusterID: "site-b",
      host: host, port: 9_001, mode: mode, ready: ready, reason: ready ? "" : "no answer", clockOffsetSeconds: nil)
  }

  @Test func aNewPairGetsItsFinalizerFirst() {
    #expect(
      ClusterPairDecision.decide(object(["token": "t"], finalizer: false), report: nil, attempted: nil)
        == .addFinalizer)
  }

  @Test func withoutATokenThereIsNoPairing() {
    for options: JSONValue? in [nil, [:], ["ip": "h"], .null] {
      #expect(ClusterPairDecision.decide(object(options), report: nil, attempted: nil) == .notProvided)
    }
  }

  @Test func optionsMayBeTextsOrNumbersAndThePortHasADefault() {
    #expect(
      ClusterPairDecision.decide(object(["ip": "h", "token": "t", "port": 9_101]), report: nil, attempted: nil)
        == .pair(host: "h", port: 9_101, token: "t", mode: .default))
    #expect(
      ClusterPairDecision.decide(
        object(["ip": "https://h", "token": "t", "mode": "DisasterRecovery"]), report: nil, attempted: nil)
        == .pair(host: "h", port: 9_001, token: "t", mode: .disasterRecovery))
    #expect(
      ClusterPairDecision.decide(
        object(["ip": "h", "token": "t", "mode": "disasterrecovery"]), report: nil, attempted: nil)
        == .pair(host: "h", port: 9_001, token: "t", mode: .default))
  }

  @Test(arguments: ["0", "65536", "x", "-1"])
  func aBadPortIsSaidPlainly(_ port: String) {
    guard
      case .unusable(let cause) = ClusterPairDecision.decide(
        object(["ip": "h", "token": "t", "port": .string(port)]), report: nil, attempted: nil)
    else {
      Issue.record("a bad port was used")
      return
    }
    #expect(cause.hasPrefix("invalid port (\(port)) specified for cluster pair"))
  }

  @Test func anExistingPairIsReportedAndAChangedOneIsPairedAgain() {
    let pair = object(["ip": "h", "token": "t"])
    #expect(
      ClusterPairDecision.decide(pair, report: report("h", ready: true), attempted: nil)
        == .report(state: .ready, reason: "", peer: "site-b"))
    #expect(
      ClusterPairDecision.decide(pair, report: report("h", ready: false), attempted: pair.spec)
        == .report(state: .error, reason: "no answer", peer: "site-b"))
    let again = ClusterPairDecision.pair(host: "h", port: 9_001, token: "t", mode: .default)
    #expect(ClusterPairDecision.decide(pair, report: report("old", ready: true), attempted: nil) == again)
    #expect(ClusterPairDecision.decide(pair, report: report("h", ready: true), attempted: ["other": 1]) == again)
  }

  @Test func deletionEndsThePairAndNothingElse() {
    #expect(
      ClusterPairDecision.decide(object(nil, deleting: true), report: nil, attempted: nil) == .end(now: false))
    var now = object(["token": "t"], deleting: true)
    now[metadata: "annotations"] = .object([ClusterPairDecision.endNow: "true"])
    #expect(ClusterPairDecision.decide(now, report: report("h", ready: true), attempted: nil) == .end(now: true))
  }

  @Test func whatDoesNotGetBetterIsTriedSeldom() {
    #expect(ClusterPairReconciler.delay(.transient, failures: 1) == .seconds(2))
    #expect(ClusterPairReconciler.delay(.transient, failures: 50) == .seconds(30))
    #expect(ClusterPairReconciler.delay(.unauthenticated, failures: 1) == .seconds(60))
  }
}

@Suite struct MigrationDecisionTests {
  private func object(
    _ stage: String?, volumes: JSONValue = .null, spec: JSONValue = ["clusterPair": "b", "namespaces": ["shop"]]
  )
    -> KubeObject
  {
    var object = ResourceKind.migration.object(namespace: "shop", name: "m")
    object[metadata: "uid"] = "u"
    object[metadata: "finalizers"] = [.string(Stork.finalizer)]
    object.json["spec"] = spec
    if let stage { object.json["status"] = ["stage": .string(stage), "volumes": volumes] }
    return object
  }

  private func report(_ state: RunState) -> MigrationReport {
    MigrationReport(uid: "u", state: state, reason: "", volumes: [])
  }

  @Test func theStagesFollowEachOther() {
    #expect(MigrationDecision.decide(object(nil), report: nil) == .begin)
    #expect(MigrationDecision.decide(object(""), report: nil) == .begin)
    #expect(MigrationDecision.decide(object("PreExecRule"), report: nil) == .preRule)
    #expect(MigrationDecision.decide(object("Volumes"), report: nil) == .start)
    let started = object("Volumes", volumes: [[:]])
    #expect(MigrationDecision.decide(started, report: report(.running)) == .progress(report(.running)))
    #expect(MigrationDecision.decide(started, report: report(.succeeded)) == .volumesEnded(report(.succeeded)))
    #expect(MigrationDecision.decide(object("Applications"), report: nil) == .resources(nil))
    var withoutObjects = started
    withoutObjects.json[at: "status.volumeMigrationFinishTimestamp"] = "2026-01-01T00:00:00Z"
    #expect(MigrationDecision.decide(withoutObjects, report: report(.succeeded)) == .resources(report(.succeeded)))
    #expect(MigrationDecision.decide(object("Final"), report: report(.running)) == .nothing)
  }

  @Test func thePostRuleFollowsTheSnapshotsAndRunsOnce() {
    var ruled = object("Volumes", volumes: [[:]])
    ruled.json[at: "spec.postExecRule"] = "thaw"
    var running = report(.running)
    running.volumes = [VolumeRunReport(volume: "1", namespace: "shop", name: "db")]
    #expect(MigrationDecision.decide(ruled, report: running) == .progress(running))
    running.volumes[0].stage = .ship
    #expect(MigrationDecision.decide(ruled, report: running) == .postRule(running))
    #expect(MigrationDecision.decide(ruled, report: report(.failed)) == .postRule(report(.failed)))
    ExecRules.write(.post, .done, to: &ruled)
    #expect(MigrationDecision.decide(ruled, report: running) == .progress(running))
  }

  @Test("writers of a volume that is read live stay stopped until it is read to its end")
  func thePostRuleFollowsTheReadingOfALiveVolume() {
    var run = report(.running)
    run.volumes = [VolumeRunReport(volume: "1", namespace: "shop", name: "db")]
    run.volumes[0].readsLive = true
    for stage in [RunStage.snapshot, .begin, .plan, .ship] {
      run.volumes[0].stage = stage
      #expect(!MigrationDecision.hasSnapshots(run), "\(stage)")
    }
    for stage in [RunStage.seal, .commit, .done] {
      run.volumes[0].stage = stage
      #expect(MigrationDecision.hasSnapshots(run), "\(stage)")
    }
  }

  @Test func aRunTheEngineForgotIsStartedAgain() {
    #expect(MigrationDecision.decide(object("Volumes", volumes: []), report: nil) == .restart)
  }

  @Test func deletionCancelsInEveryStage() {
    for stage in [nil, "", "Volumes", "Final"] {
      var deleting = object(stage)
      deleting[metadata: "deletionTimestamp"] = "2026-01-01T00:00:00Z"
      #expect(MigrationDecision.decide(deleting, report: report(.running)) == .cancel)
      deleting[metadata: "finalizers"] = ["other/one"]
      #expect(MigrationDecision.decide(deleting, report: report(.running)) == .nothing)
    }
  }

  @Test(
    arguments: [
      (["namespaces": ["shop"]], "clusterPair to migrate to cannot be empty"),
      (
        ["clusterPair": "b"],
        "no valid namespace found based on the provided 'Namespaces' and 'NamespaceSelectors'"
      ),
      (
        ["clusterPair": "b", "namespaces": ["shop", "other"]],
        "migration namespaces should only contain the current namespace"
      ),
    ] as [(JSONValue, String)])
  func whatCanNeverWorkFails(_ spec: JSONValue, _ cause: String) {
    #expect(MigrationDecision.decide(object("", spec: spec), report: nil) == .fail(cause))
  }

  @Test func theAdminNamespaceMayNameOthers() {
    let spec = MigrationSpec(object("", spec: ["clusterPair": "b", "namespaces": ["shop", "other"]]))
    #expect(spec.fault(ownNamespace: Stork.adminNamespace) == nil)
  }

  @Test func claimsAreChosenByAllSelectorsAndNoExclusion() {
    let spec = MigrationSpec(
      object("", spec: ["selectors": ["a": "1", "b": "2"], "excludeSelectors": ["x": "1", "y": "1"]]))
    func claim(_ labels: JSONValue, skip: String? = nil) -> KubeObject {
      var claim = ResourceKind.persistentVolumeClaim.object(namespace: "shop", name: "c")
      claim[metadata: "labels"] = labels
      if let skip { claim[metadata: "annotations"] = .object([Stork.skipResource: .string(skip)]) }
      return claim
    }
    #expect(spec.selectors.select(claim(["a": "1", "b": "2"])))
    #expect(!spec.selectors.select(claim(["a": "1"])))
    #expect(!spec.selectors.select(claim(["a": "1", "b": "2", "y": "1"])))
    #expect(!spec.selectors.select(claim(["a": "1", "b": "2"], skip: "true")))
  }

  @Test func volumesThatCannotBeTakenAreNamed() {
    func volume(_ spec: JSONValue, id: String? = nil) -> KubeObject {
      var volume = ResourceKind.persistentVolume.object(name: "pv")
      volume.json["spec"] = spec
      if let id { volume[metadata: "annotations"] = .object([VolumeObjects.volumeID: .string(id)]) }
      return volume
    }
    var claim = ResourceKind.persistentVolumeClaim.object(namespace: "shop", name: "db")
    claim.json["spec"] = ["volumeName": "pv"]
    var known = VolumeReport(
      id: "1", namespace: "shop", name: "db", path: "/p/db.img", sizeBytes: 1, role: .source, changeSource: "",
      changeSourceReason: "", pool: "", sourceCluster: "", lagSeconds: nil)
    var choice = MigrationReconciler.Choice()
    MigrationReconciler.add(claim, nil, known: [known], to: &choice)
    MigrationReconciler.add(claim, volume(["nfs": [:]]), known: [known], to: &choice)
    MigrationReconciler.add(claim, volume(["local": ["path": "/other"]]), known: [known], to: &choice)
    MigrationReconciler.add(claim, volume(["local": ["path": "/p/db.img"]]), known: [known], to: &choice)
    MigrationReconciler.add(claim, volume([:], id: "1"), known: [known], to: &choice)
    known.role = .target
    MigrationReconciler.add(claim, volume([:], id: "1"), known: [known], to: &choice)
    #expect(choice.refused.count == 3 && choice.skipped.count == 1 && choice.entries.count == 2)
    #expect(choice.refused.allSatisfy { $0["persistentVolumeClaim"] == "db" && $0["reason"] != "" })
  }

  @Test func theStatusCarriesWhatTheEngineSays() {
    var run = VolumeRunReport(volume: "1", namespace: "x", name: "y")
    run.state = .running
    run.stage = .ship
    run.bytesTotal = 100
    run.bytesDone = 25
    run.bytesOnWire = 12
    run.etaSeconds = 3.4
    run.fullReason = "first copy"
    let before = [MigrationStatus.started(claim: "db", namespace: "shop", volume: "pv", id: "1")]
    let after = MigrationStatus.merged(
      before, MigrationReport(uid: "u", state: .running, reason: "", volumes: [run]))
    #expect(after[0]["persistentVolumeClaim"] == "db" && after[0]["volume"] == "pv")
    #expect(after[0]["status"] == "InProgress" && after[0]["bytesDone"] == 25 && after[0]["bytesOnWire"] == 12)
    #expect(after[0]["fullReason"] == "first copy" && after[0]["etaSeconds"] == .number(3.4))
    #expect(
      after[0]["reason"]
        == "Volume migration has started. ship in progress. BytesDone: 25 BytesTotal: 100 ETA: 3 seconds")
  }

  @Test func theSummaryCountsWhatSucceeded() {
    var migration = object("Volumes")
    migration[metadata: "creationTimestamp"] = .string(Timestamp.text(1_000))
    let status: JSONValue = [
      "volumes": [["status": "Successful", "bytesTotal": 5], ["status": "Failed", "bytesTotal": 7]],
      "volumeMigrationFinishTimestamp": .string(Timestamp.text(1_240)),
    ]
    let summary = MigrationStatus.summary(migration, status: status, now: 2_000)
    #expect(summary["totalNumberOfVolumes"] == 2 && summary["numOfMigratedVolumes"] == 1)
    #expect(summary["totalBytesMigrated"] == 5 && summary["elapsedTimeForVolumeMigration"] == "4m0s")
    #expect(summary["snapshotSpreadMilliseconds"] == nil)
  }

  @Test func theSummaryOfAGroupSaysHowFarApartItsSnapshotsAre() {
    let status: JSONValue = [
      "volumes": [
        ["takenAfterMilliseconds": 0], ["takenAfterMilliseconds": .number(12.5)], ["takenAfterMilliseconds": 3],
      ]
    ]
    let summary = MigrationStatus.summary(object("Volumes"), status: status, now: 0)
    #expect(summary["snapshotSpreadMilliseconds"] == .number(12.5))
  }
}

@Suite struct QueueTests {
  private let key = ObjectKey(namespace: "n", name: "a")

  @Test func aKeyIsNeverWorkedOnTwiceAtOnceAndNeverLost() {
    let queue = WorkQueue()
    queue.add(key)
    queue.add(key)
    #expect(queue.next(limit: 10) == key)
    #expect(queue.next(limit: 10) == nil)
    queue.add(key)
    #expect(queue.next(limit: 10) == nil)
    #expect(queue.finish(key, revisit: true) == nil)
    #expect(queue.next(limit: 10) == key)
  }

  @Test func onlyTheNewestPlanCounts() throws {
    let queue = WorkQueue()
    queue.add(key)
    _ = queue.next(limit: 1)
    let old = try #require(queue.finish(key, revisit: true))
    queue.add(key)
    _ = queue.next(limit: 1)
    let new = try #require(queue.finish(key, revisit: true))
    queue.due(key, plan: old)
    #expect(queue.next(limit: 1) == nil)
    queue.due(key, plan: new)
    #expect(queue.next(limit: 1) == key)
  }

  @Test func theNumberOfWorkersIsLimited() {
    let queue = WorkQueue()
    for name in ["a", "b", "c"] { queue.add(ObjectKey(namespace: "n", name: name)) }
    #expect(queue.next(limit: 2) != nil && queue.next(limit: 2) != nil && queue.next(limit: 2) == nil)
  }
}
