public import APIModel
public import AgentService
public import CoreMetrics
public import KubeModel
public import Logging
public import MetricsExposition
public import ReplModel

/// What the controllers are told by whoever runs them.
public struct ControllerSettings: Sendable {
  /// IANA name of the zone that schedule policies are read in; nil: the node's local zone as it was at the start.
  public var timeZone: String?
  /// Where the programs are that rules may name.
  public var hooksDirectory = HookDirectory.defaultPath
  /// User id that must own them.
  public var hooksOwner: UInt32 = 0
  /// Seconds that one of them may run.
  public var hookTimeLimit: Double = 60
  /// Records what happens, and must know ``StorkDefinitions/recorded``.
  public var metrics: any MetricsFactory = NOOPMetricsHandler.instance

  public init(timeZone: String? = nil) { self.timeZone = timeZone }
}

/// All controllers of the Stork objects and of the volumes behind them, on one store and one agent.
///
/// ``prepare()`` makes what must be there before clients come; ``run()`` then works until its task is cancelled.
public struct ControllerSet: Sendable {
  /// The kinds a server must know besides Kubernetes' own.
  public static let kinds: [ResourceKind] =
    [
      .clusterPair, .schedulePolicy, .namespacedSchedulePolicy, .migrationSchedule, .migration, .clusterDomainsStatus,
      .clusterDomainUpdate, .action, .backupLocation, .rule,
    ] + ResourceKind.absentStork

  private let store: any KubeStore
  private let service: any ReplicationService
  private let settings: ControllerSettings
  private let zone: ScheduleZone
  private let figures: ObjectFigures
  private let logger: Logger
  private let clock: @Sendable () -> Int64
  /// Who has the objects of Migrations applied at peers; nil: such Migrations are refused.
  var resourcePhase: (any ResourcePhase)?
  /// Who keeps the copies of schedules at peers; nil: there are none.
  var peerSchedules: (any PeerSchedules)?

  /// - Parameter clock: seconds since 1970.
  /// - Throws: `.invalid` for a time zone that this node does not know.
  public init(
    store: any KubeStore, service: any ReplicationService, settings: ControllerSettings, logger: Logger,
    clock: @escaping @Sendable () -> Int64
  ) throws(ReplError) {
    self.store = store
    self.service = service
    self.settings = settings
    self.logger = logger
    self.clock = clock
    zone = try ScheduleZone(named: settings.timeZone)
    figures = ObjectFigures(store: store)
    resourcePhase = ResourceMigrator(store: store, service: service, clock: clock)
    peerSchedules = RemoteSchedules(service: service)
  }

  /// The gauges of the objects; they are kept up to date while ``run()`` runs.
  public var collector: any MetricsCollector { figures }
  /// Answers what control planes of peers send.
  public var documents: any PeerDocumentResponder { ResourceReceiver(store: store, service: service) }

  /// Makes the namespaces, policies and settings that clients expect, where they are missing.
  public func prepare() async throws(StatusError) {
    let objects = VolumeObjects(store: store)
    for name in ["default", "kube-system"] { try await objects.ensureNamespace(name) }
    try await DefaultPolicies.ensure(store)
    try await StorkSettings.ensure(store)
  }

  /// Works until the task is cancelled or the store closes.
  public func run() async {
    let events = EventRecorder(store: store, logger: logger, clock: clock)
    await withTaskGroup(of: Void.self) { tasks in
      for controller in controllers(events) { tasks.addTask { await controller.run() } }
      tasks.addTask { await record(events) }
      tasks.addTask { await prune(events) }
      tasks.addTask { await figures.run() }
    }
  }

  private func controllers(_ events: EventRecorder) -> [KindController] {
    let hooks = HookDirectory(
      path: settings.hooksDirectory, owner: settings.hooksOwner, timeLimit: settings.hookTimeLimit, logger: logger)
    let reconcilers: [any Reconciler] = [
      ActionReconciler(store: store, events: events, clock: clock),
      ClusterDomainUpdateReconciler(store: store, events: events),
      ClusterPairReconciler(store: store, service: service, events: events),
      MigrationReconciler(
        store: store, service: service, events: events, hooks: hooks, resources: resourcePhase, peers: peerSchedules,
        clock: clock),
      MigrationScheduleReconciler(
        store: store, events: events, peers: peerSchedules, zone: zone, metrics: ScheduleMetrics(settings.metrics),
        clock: clock),
      PersistentVolumeReconciler(store: store),
      VolumeReconciler(store: store, service: service, events: events),
    ]
    return reconcilers.map { KindController(store: store, reconciler: $0, logger: logger) }
  }

  private func record(_ events: EventRecorder) async {
    for await event in service.events() { await events.record(event) }
  }

  private func prune(_ events: EventRecorder) async {
    while (try? await Task.sleep(for: .seconds(60))) != nil { await events.prune() }
  }
}
