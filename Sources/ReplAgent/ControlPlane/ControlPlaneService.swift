import APIModel
import AgentService
import KubeModel
import KubeServer
import Logging
import MetricsExposition
import ReplModel
import StorkControllers

/// Where the control plane listens and keeps its objects.
struct ControlPlaneConfiguration: Sendable {
  /// Path of the Unix socket.
  var socketPath: String
  /// Path of the object database; its directory must exist.
  var databasePath: String
  /// Makes a kubeconfig with fresh credentials for the loopback listener; nil when nobody offers one. It is answered on
  /// the local socket only, never to a connection that comes through the listener itself.
  var kubeconfig: KubeconfigMaker?
  var controllers = ControllerSettings()
  /// What is recorded, which must know ``recorded``; nil: nothing is, and there is no `/metrics`.
  var metrics: MetricsRegistry?
  /// Who else says something on `/metrics`.
  var collectors: [any MetricsCollector] = []
  /// Where `/metrics` is served besides the API; nil: nowhere.
  var metricsListen: MetricsAddress?

  /// What the control plane records.
  static let recorded = KubeServerDefinitions.recorded + StorkDefinitions.recorded

  init(socketPath: String = "/run/repl-agent/agent.sock", databasePath: String, timeZone: String? = nil) {
    self.socketPath = socketPath
    self.databasePath = databasePath
    controllers.timeZone = timeZone
  }
}

/// The API on the local socket, the objects behind it, and the controllers that carry them out.
///
/// Make one, run it once, cancel the task that runs it to stop: watches end, requests under way are answered, and
/// ``run(onListening:)`` returns within a few seconds.
struct ControlPlaneService: Sendable {
  private let configuration: ControlPlaneConfiguration
  private let service: any ReplicationService
  private let logger: Logger
  private let store: SQLiteObjectStore
  private let points: ComputedObjects
  private let clock: @Sendable () -> Int64
  private let page: MetricsPage?
  var controllers: ControllerSet
  var watchLimits = WatchLimits()

  /// The kinds that are served.
  static let registry = ResourceRegistry(ResourceRegistry.builtIn + ControllerSet.kinds + [.recoveryPoint])

  /// Opens the database. Nothing listens before ``run(onListening:)``.
  init(
    configuration: ControlPlaneConfiguration, service: any ReplicationService, logger: Logger,
    clock: @escaping @Sendable () -> Int64 = systemSeconds
  ) throws(ReplError) {
    self.configuration = configuration
    self.service = service
    self.logger = logger
    self.clock = clock
    store = try SQLiteObjectStore(path: configuration.databasePath, registry: Self.registry, clock: clock)
    points = RecoveryPointObjects.computed(service, clock: clock)
    var settings = configuration.controllers
    if let metrics = configuration.metrics { settings.metrics = metrics }
    let controllers = try ControllerSet(
      store: store, service: service, settings: settings, logger: logger, clock: clock)
    self.controllers = controllers
    let own: [any MetricsCollector] = [WatchFigures(store), controllers.collector]
    page = configuration.metrics.map { MetricsPage($0, configuration.collectors + own) }
  }

  /// Serves until the task is cancelled. `onListening` is called once the socket answers.
  func run(onListening: @escaping @Sendable () async -> Void = {}) async throws {
    defer { store.close() }
    try await controllers.prepare()
    service.answerDocuments(with: controllers.documents)
    defer { service.answerDocuments(with: nil) }
    let listener = metricsListener
    let work = Task { await reconcile() }
    let result: Result<Void, any Error>
    do {
      // Ready means all of it: an address that is taken is an error of the start, not of later.
      try await server.run(
        beside: listener.map { [$0] } ?? [], mayPublish: { await listener?.waitUntilListening() ?? true },
        onListening: onListening)
      result = .success(())
    } catch { result = .failure(error) }
    work.cancel()
    // A call of the engine that does not end must not keep the agent from stopping.
    await Self.wait(for: work, atMost: .seconds(3))
    try result.get()
  }

  private var server: LocalServer {
    let routes: [any APIRoutes] = [
      KubeconfigRoute(kubeconfig: configuration.kubeconfig), HealthRoutes(service: service, page: page),
      AgentAPI(service: service, objects: VolumeObjects(store: store)),
    ]
    let contents = LocalServerContents(registry: Self.registry, store: store, computed: [points], routes: routes)
    var server = LocalServer(
      socketPath: configuration.socketPath, contents, metrics: configuration.metrics, logger: logger, clock: clock)
    server.watchLimits = watchLimits
    return server
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
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { await controllers.run() }
      tasks.addTask { await points.run() }
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

  /// Nothing depends on the Node: an engine that cannot report is no reason not to serve.
  private func ensureNode() async {
    guard let report = try? await service.status() else { return }
    do throws(StatusError) { try await NodeObject(store: store, clock: clock).ensure(report) } catch {
      logger.warning("no Node object", metadata: ["reason": "\(error)"])
    }
  }
}
