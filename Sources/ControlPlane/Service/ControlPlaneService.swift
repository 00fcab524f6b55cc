import APIModel
import Hummingbird
public import Logging
public import MetricsExposition
public import ReplModel
public import AgentService

/// Where the control plane listens and keeps its objects.
public struct ControlPlaneConfiguration: Sendable {
  /// Path of the Unix socket.
  public var socketPath: String
  /// Path of the object database; its directory must exist.
  public var databasePath: String
  /// Makes a kubeconfig with fresh credentials for the loopback listener; nil when nobody offers one. It is answered on
  /// the local socket only, never to a connection that comes through the listener itself.
  public var kubeconfig: KubeconfigMaker?
  /// IANA name of the zone that schedule policies are read in; nil: the node's local zone as it was at the start.
  public var timeZone: String?
  /// Where the programs are that rules may name.
  public var hooksDirectory = HookDirectory.defaultPath
  /// User id that must own them.
  public var hooksOwner: UInt32 = 0
  /// Seconds that one of them may run.
  public var hookTimeLimit: Double = 60
  /// What is recorded, which must know ``ControlPlaneDefinitions/recorded``; nil: nothing is, and there is no `/metrics`.
  public var metrics: MetricsRegistry?
  /// Who else says something on `/metrics`.
  public var collectors: [any MetricsCollector] = []
  /// Where `/metrics` is served besides the API; nil: nowhere.
  public var metricsListen: MetricsAddress?

  public init(
    socketPath: String = "/run/repl-agent/agent.sock", databasePath: String, timeZone: String? = nil
  ) {
    self.socketPath = socketPath
    self.databasePath = databasePath
    self.timeZone = timeZone
  }
}

/// The API on the local socket, the objects behind it, and the reconcilers that carry them out.
///
/// Make one, run it once, cancel the task that runs it to stop: watches end, requests under way are answered, and
/// ``run()`` returns within a few seconds.
public struct ControlPlaneService: Sendable {
  private let configuration: ControlPlaneConfiguration
  private let service: any ReplicationService
  private let logger: Logger
  private let store: SQLiteObjectStore
  private let points: RecoveryPointStore
  private let clock: @Sendable () -> Int64
  private let metrics: ControlPlaneMetrics
  private let figures: ObjectFigures
  private let page: MetricsPage?
  private let zone: ScheduleZone
  /// Who has the objects of Migrations applied at peers; nil: such Migrations are refused.
  var resourcePhase: (any ResourcePhase)?
  /// Who keeps the copies of schedules at peers; nil: there are none.
  var peerSchedules: (any PeerSchedules)?
  var watchLimits = WatchLimits()

  /// Opens the database. Nothing listens before ``run()``.
  public init(
    configuration: ControlPlaneConfiguration, service: any ReplicationService, logger: Logger,
    clock: @escaping @Sendable () -> Int64 = systemSeconds
  ) throws(ReplError) {
    self.configuration = configuration
    self.service = service
    self.logger = logger
    self.clock = clock
    zone = try ScheduleZone(named: configuration.timeZone)
    store = try SQLiteObjectStore(path: configuration.databasePath, clock: clock)
    metrics = configuration.metrics.map { ControlPlaneMetrics($0) } ?? .none
    let figures = ObjectFigures(store: store)
    self.figures = figures
    page = configuration.metrics.map { MetricsPage($0, configuration.collectors + [figures]) }
    points = RecoveryPointStore(service: service, clock: clock)
    resourcePhase = ResourceMigrator(store: store, service: service, clock: clock)
    peerSchedules = RemoteSchedules(service: service)
  }

  /// Serves until the task is cancelled. `onListening` is called once the socket answers.
  public func run(onListening: @escaping @Sendable () async -> Void = {}) async throws {
    defer { store.close() }
    try await ensureNamespaces()
    try await DefaultPolicies.ensure(store)
    try await StorkSettings.ensure(store)
    let socket = LocalSocket(path: configuration.socketPath)
    try socket.prepare()
    defer { socket.remove() }
    service.answerDocuments(with: ResourceReceiver(store: store, service: service))
    defer { service.answerDocuments(with: nil) }
    let server = ServerRun(logger: quiet)
    let listener = metricsListener
    // Ready means all of it: an address that is taken is an error of the start, not of later.
    let application = application(
      socket, server, mayPublish: { await listener?.waitUntilListening() ?? true }, onListening: onListening)
    let work = Task { await reconcile() }
    let result: Result<Void, any Error>
    do {
      try await server.run([application] + (listener.map { [$0] } ?? [])) { [store, points] in
        store.endWatches()
        points.endWatches()
      }
      result = .success(())
    } catch { result = .failure(error) }
    work.cancel()
    // A call of the engine that does not end must not keep the agent from stopping.
    await Self.wait(for: work, atMost: .seconds(3))
    try result.get()
  }

  private var metricsListener: MetricsListener? {
    guard let address = configuration.metricsListen, let page else { return nil }
    let service = service
    let responder = MetricsResponder(page: page) {
      guard await service.faults().isEmpty else { return false }
      return (try? await service.status()) != nil
    }
    return MetricsListener(address, responder, logger: logger)
  }

  /// How many watches are open, the controllers' own among them.
  var openWatches: Int { store.openWatches }

  private func reconcile() async {
    let events = EventRecorder(store: store, logger: logger, clock: clock)
    await withTaskGroup(of: Void.self) { tasks in
      for controller in controllers(events) { tasks.addTask { await controller.run() } }
      tasks.addTask { await record(events) }
      tasks.addTask { await prune(events) }
      tasks.addTask { await points.run() }
      if page != nil { tasks.addTask { await figures.run() } }
      tasks.addTask { await ensureNode() }
    }
  }

  private static func wait(for task: Task<Void, Never>, atMost duration: Duration) async {
    let (ended, signal) = AsyncStream.makeStream(of: Void.self)
    let watcher = Task {
      await task.value
      signal.finish()
    }
    // Detached from the caller, who may be cancelled already and could not sleep.
    let timer = Task.detached {
      try? await Task.sleep(for: duration)
      signal.finish()
    }
    await Task.detached { for await _ in ended {} }.value
    watcher.cancel()
    timer.cancel()
  }

  private func application(
    _ socket: LocalSocket, _ run: ServerRun, mayPublish: @escaping @Sendable () async -> Bool,
    onListening: @escaping @Sendable () async -> Void
  ) -> Application<LocalResponder> {
    let logger = logger
    let server = APIServer(
      objects: ObjectAPI(
        store: store, registry: .standard, clock: clock, virtual: [ResourceKind.recoveryPoint.resource: points]),
      agent: AgentAPI(service: service, objects: VolumeObjects(store: store)),
      discovery: Discovery(registry: .standard), access: .standard(), logger: logger,
      watchLimits: watchLimits, page: page, metrics: metrics)
    return Application(
      responder: LocalResponder(server: server, kubeconfig: configuration.kubeconfig),
      server: .http1(configuration: .init(additionalChannelHandlers: [ClientEnd()])),
      configuration: ApplicationConfiguration(address: .unixDomainSocket(path: socket.temporaryPath)),
      onServerRunning: { _ in
        guard await mayPublish() else { return }
        do {
          try socket.publish()
          logger.info("listening", metadata: ["socket": "\(socket.path)"])
          await onListening()
        } catch {
          run.fail(error)
        }
      }, logger: quiet)
  }

  /// The frameworks' own chatter is of no use to operators.
  private var quiet: Logger {
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .warning)
    return quiet
  }

  private func controllers(_ events: EventRecorder) -> [KindController] {
    let hooks = HookDirectory(
      path: configuration.hooksDirectory, owner: configuration.hooksOwner, timeLimit: configuration.hookTimeLimit,
      logger: logger)
    let reconcilers: [any Reconciler] = [
      ActionReconciler(store: store, events: events, clock: clock),
      ClusterDomainUpdateReconciler(store: store, events: events),
      ClusterPairReconciler(store: store, service: service, events: events),
      MigrationReconciler(
        store: store, service: service, events: events, hooks: hooks, resources: resourcePhase, peers: peerSchedules,
        clock: clock),
      MigrationScheduleReconciler(
        store: store, events: events, peers: peerSchedules, zone: zone, metrics: metrics, clock: clock),
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

  /// Nothing depends on the Node: an engine that cannot report is no reason not to serve.
  private func ensureNode() async {
    guard let report = try? await service.status() else { return }
    do throws(StatusError) { try await NodeObject(store: store, clock: clock).ensure(report) } catch {
      logger.warning("no Node object", metadata: ["reason": "\(error)"])
    }
  }

  private func ensureNamespaces() async throws {
    let objects = VolumeObjects(store: store)
    for name in ["default", "kube-system"] { try await objects.ensureNamespace(name) }
  }
}
