import AgentService
import APIModel
import Foundation
import MetricsExposition
import ReplModel
import ReplicationEngine
import Synchronization
import TestSupport
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

/// A resources phase that answers what it is told to.
final class FakeResources: ResourcePhase {
  private struct State {
    var requests: [ResourceRequest] = []
    var outcome = ResourceOutcome(results: [])
    var errors: [ReplError] = []
  }
  private let state = Mutex(State())

  var requests: [ResourceRequest] { state.withLock { $0.requests } }
  func answer(_ results: [ResourceResult], purgeFailure: String? = nil) {
    state.withLock { $0.outcome = ResourceOutcome(results: results, purgeFailure: purgeFailure) }
  }
  /// The next calls fail, one after the other.
  func fail(_ errors: [ReplError]) { state.withLock { $0.errors = errors } }

  func run(_ request: ResourceRequest) async throws(ReplError) -> ResourceOutcome {
    let error = state.withLock { state in
      state.requests.append(request)
      return state.errors.isEmpty ? nil : state.errors.removeFirst()
    }
    if let error { throw error }
    return state.withLock { $0.outcome }
  }

  static func result(_ kind: String, _ name: String, _ status: String, _ reason: String = "") -> ResourceResult {
    ResourceResult(
      name: name, namespace: "mysql", group: "core", version: "v1", kind: kind,
      status: ResourceResult.State(rawValue: status) ?? .failed, reason: reason)
  }
}

/// The schedules of a peer.
final class FakePeerSchedules: PeerSchedules {
  private struct State {
    var copies: [String: KubeObject] = [:]
    var puts = 0
    var foreign = false
    var activated = false
    var error: ReplError?
  }
  private let state = Mutex(State())

  var copies: [String: KubeObject] { state.withLock { $0.copies } }
  var puts: Int { state.withLock { $0.puts } }
  func setForeign(_ foreign: Bool) { state.withLock { $0.foreign = foreign } }
  func setActivated(_ activated: Bool) { state.withLock { $0.activated = activated } }
  func fail(_ error: ReplError?) { state.withLock { $0.error = error } }

  func state(namespace: String, name: String, pair: ObjectReference) async throws(ReplError) -> PeerScheduleState {
    let (answer, error) = state.withLock { state in
      let copy: PeerScheduleState.Copy =
        state.foreign ? .foreign : state.copies["\(namespace)/\(name)"] == nil ? .missing : .copy
      return (PeerScheduleState(copy: copy, applicationActivated: state.activated), state.error)
    }
    if let error { throw error }
    return answer
  }

  func put(_ schedule: KubeObject, pair: ObjectReference) async throws(ReplError) {
    let error = state.withLock { state in
      state.puts += 1
      if state.error == nil { state.copies["\(schedule.namespace)/\(schedule.name)"] = schedule }
      return state.error
    }
    if let error { throw error }
  }
}

/// A store that the process does not survive: it ends at a write, before or after that is durable.
final class MortalStore: KubeStore {
  private let store: any KubeStore
  private let life = Mutex<(writes: Int, last: Int?, written: Bool)>((0, nil, false))

  init(_ store: any KubeStore) { self.store = store }

  /// Everything fails from write number `last` on, counted from now; that one is `written` or not. nil: immortal.
  func live(until last: Int?, written: Bool = false) { life.withLock { $0 = (0, last, written) } }

  private static let dead = StatusError(500, "InternalError", "the process has ended")

  /// Whether a call is made, and whether its answer is seen.
  private func admit(write: Bool) throws(StatusError) -> Bool {
    let (admitted, seen) = life.withLock { life -> (Bool, Bool) in
      guard let last = life.last else { return (true, true) }
      if life.writes >= last { return (false, false) }
      guard write else { return (true, true) }
      life.writes += 1
      return life.writes < last ? (true, true) : (life.written, false)
    }
    if !admitted { throw Self.dead }
    return seen
  }

  func get(_ kind: ResourceKind, namespace: String, name: String) async throws(StatusError) -> KubeObject {
    _ = try admit(write: false)
    return try await store.get(kind, namespace: namespace, name: name)
  }

  func list(_ kind: ResourceKind, namespace: String?, labels: LabelSelector) async throws(StatusError) -> KubeList {
    _ = try admit(write: false)
    return try await store.list(kind, namespace: namespace, labels: labels)
  }

  func page(_ kind: ResourceKind, namespace: String, after token: String?) async throws(StatusError) -> KubePage {
    _ = try admit(write: false)
    return try await store.page(kind, namespace: namespace, after: token)
  }

  func create(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) -> KubeObject {
    let seen = try admit(write: true)
    let created = try await store.create(kind, object)
    if !seen { throw Self.dead }
    return created
  }

  func update(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) -> KubeObject {
    let seen = try admit(write: true)
    let updated = try await store.update(kind, object)
    if !seen { throw Self.dead }
    return updated
  }

  func updateStatus(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) -> KubeObject {
    let seen = try admit(write: true)
    let updated = try await store.updateStatus(kind, object)
    if !seen { throw Self.dead }
    return updated
  }

  func patch(_ kind: ResourceKind, namespace: String, name: String, merge: JSONValue) async throws(StatusError)
    -> KubeObject
  {
    let seen = try admit(write: true)
    let patched = try await store.patch(kind, namespace: namespace, name: name, merge: merge)
    if !seen { throw Self.dead }
    return patched
  }

  func delete(_ kind: ResourceKind, namespace: String, name: String, options: DeleteOptions)
    async throws(StatusError) -> DeleteOutcome
  {
    let seen = try admit(write: true)
    let outcome = try await store.delete(kind, namespace: namespace, name: name, options: options)
    if !seen { throw Self.dead }
    return outcome
  }

  func watch(_ kind: ResourceKind, after version: ResourceVersion) async throws(StatusError) -> any KubeWatch {
    try await store.watch(kind, after: version)
  }
}

/// The controllers of schedules, Migrations and pairs over one store, moved on by hand: nothing sleeps.
final class ScheduleWorld {
  let fixture: StoreFixture
  let service: FakeService
  let resources = FakeResources()
  let peers = FakePeerSchedules()
  let log = LogLines()
  private let zone: ScheduleZone
  /// What the schedules record, over restarts too.
  let metrics = MetricsRegistry(StorkDefinitions.recorded)
  private(set) var events: EventRecorder
  private(set) var schedules: MigrationScheduleReconciler
  private(set) var migrations: MigrationReconciler
  private(set) var pairs: ClusterPairReconciler
  let hooks: TemporaryDirectory
  /// What the controllers write to: the store, behind something that can end the process.
  let door: MortalStore

  var store: SQLiteObjectStore { fixture.store }
  var clock: TestClock { fixture.clock }
  var now: Int64 { clock.now }

  init(zone: String = "UTC", at time: String = "2026-03-01T12:00:00Z") async throws {
    fixture = try StoreFixture()
    service = FakeService()
    hooks = try TemporaryDirectory()
    self.zone = try ScheduleZone(named: zone)
    door = MortalStore(fixture.store)
    (events, schedules, migrations, pairs) = Self.controllers(
      door, fixture.clock, service, resources, peers, log, self.zone, hooks: hooks.path, metrics: metrics)
    try set(time)
    for name in ["default", "kube-system", "mysql"] { try await fixture.namespace(name) }
  }

  /// The agent starts again: nothing is remembered but what is stored.
  func restart() {
    (events, schedules, migrations, pairs) = Self.controllers(
      door, fixture.clock, service, resources, peers, log, zone, hooks: hooks.path, metrics: metrics)
  }

  private static func controllers(
    _ store: any KubeStore, _ clock: TestClock, _ service: FakeService, _ resources: FakeResources,
    _ peers: FakePeerSchedules, _ log: LogLines, _ zone: ScheduleZone, hooks: String,
    metrics: MetricsRegistry
  ) -> (EventRecorder, MigrationScheduleReconciler, MigrationReconciler, ClusterPairReconciler) {
    let now: @Sendable () -> Int64 = { clock.now }
    let events = EventRecorder(store: store, logger: log.logger, clock: now)
    return (
      events,
      MigrationScheduleReconciler(
        store: store, events: events, peers: peers, zone: zone, metrics: ScheduleMetrics(metrics), clock: now),
      MigrationReconciler(
        store: store, service: service, events: events,
        hooks: HookDirectory(path: hooks, owner: getuid(), timeLimit: 1, logger: log.logger), resources: resources,
        peers: peers, clock: now),
      ClusterPairReconciler(store: store, service: service, events: events)
    )
  }

  /// How many triggers of a type are counted.
  func triggers(_ outcome: String, _ type: String) throws -> Double? {
    try ExpositionPage(ExpositionText.render(metrics.families()))
      .value("repl_agent_schedule_triggers_total", ["outcome": outcome, "type": type])
  }

  func set(_ time: String) throws { clock.advance(try #require(Timestamp.seconds(time)) - clock.now) }

  func create(_ kind: ResourceKind, _ namespace: String, _ name: String, _ fields: [String: JSONValue] = [:])
    async throws
  {
    var object = kind.namespaced ? kind.object(namespace: namespace, name: name) : kind.object(name: name)
    for (key, value) in fields { object.json[key] = value }
    _ = try await store.create(kind, object, dryRun: false)
  }

  /// A ready pair, a volume with its claim, and a policy.
  func prepare(policy: JSONValue = ["interval": ["intervalMinutes": 1]], volumes: [String] = ["data"]) async throws {
    await service.finishRunsAtOnce()
    for name in volumes {
      let report = try await service.createVolume(
        CreateVolumeRequest(namespace: "mysql", name: name, size: 1 << 20, pool: nil))
      try await VolumeObjects(store: store).ensure(report)
    }
    try await create(
      .clusterPair, "mysql", "remotecluster",
      [
        "spec": [
          "options": ["ip": "h", "port": "9001", "token": .string(FakeService.token), "mode": "DisasterRecovery"]
        ]
      ])
    try await create(.schedulePolicy, "", "testpolicy", ["policy": policy])
    try await settle()
  }

  /// The MigrationSchedule of the documents.
  func schedule(_ name: String = "mysqlmigrationschedule", policy: String = "testpolicy", _ more: JSONValue = [:])
    async throws
  {
    var spec: JSONValue = [
      "schedulePolicyName": .string(policy),
      "template": [
        "spec": [
          "clusterPair": "remotecluster", "includeResources": true, "startApplications": false, "namespaces": ["mysql"],
        ]
      ],
    ]
    for (key, value) in more.object ?? [:] { spec[key] = value }
    try await create(.migrationSchedule, "mysql", name, ["spec": spec])
  }

  /// Looks at every object until nothing changes any more; the shortest time until one of them is to be seen again.
  @discardableResult func settle() async throws -> Duration? {
    var quiet = 0
    for _ in 0..<50 {
      let before = try await store.list(ListQuery(.namespace)).version
      let delay = try await pass()
      // Twice: a pass may ask the engine for something and write nothing.
      quiet = try await store.list(ListQuery(.namespace)).version == before ? quiet + 1 : 0
      if quiet == 2 { return delay }
    }
    Issue.record("the controllers do not come to rest")
    return nil
  }

  /// Looks at every object once.
  func pass() async throws -> Duration? {
    var shortest: Duration?
    for reconciler in [pairs, schedules, migrations] as [any Reconciler] {
      for object in try await store.list(ListQuery(reconciler.kind)).items {
        let key = ObjectKey(namespace: object.namespace, name: object.name)
        if let delay = try await Self.visit(reconciler, key) { shortest = min(shortest ?? delay, delay) }
      }
    }
    return shortest
  }

  private static func visit(_ reconciler: any Reconciler, _ key: ObjectKey) async throws(StatusError) -> Duration? {
    do { return try await reconciler.reconcile(key) } catch {
      // Gone meanwhile, changed by somebody else, or the process has ended: looked at again by the next pass.
      if [404, 409, 500].contains(error.code) { return nil }
      throw error
    }
  }

  /// Lets time pass in steps of so many seconds, with all controllers at work.
  func run(seconds: Int64, step: Int64 = 10) async throws {
    for _ in 0..<seconds / step {
      clock.advance(step)
      try await settle()
    }
  }

  func object(_ kind: ResourceKind, _ name: String) async throws -> KubeObject {
    try await store.get(kind, namespace: kind.namespaced ? "mysql" : "", name: name)
  }

  func change(_ kind: ResourceKind, _ name: String, _ path: String, _ value: JSONValue?) async throws {
    _ = try await store.update(
      kind, namespace: kind.namespaced ? "mysql" : "", name: name, part: .whole, dryRun: false
    ) { old in
      var new = old
      new.json[at: path] = value
      return new
    }
  }

  var migrationNames: [String] {
    get async throws { try await store.list(ListQuery(.migration)).items.map(\.name) }
  }

  func items(_ type: String, of name: String = "mysqlmigrationschedule") async throws -> [JSONValue] {
    try await object(.migrationSchedule, name).json[path: ["status", "items", type]]?.array ?? []
  }

  /// Events of an object as `type/reason/message`.
  func told(_ name: String) async throws -> [String] {
    try await store.list(ListQuery(.event)).items.filter { $0.json[at: "involvedObject.name"]?.string == name }.map {
      "\($0.json["type"]?.string ?? "")/\($0.json["reason"]?.string ?? "")/\($0.json["message"]?.string ?? "")"
    }
  }
}
