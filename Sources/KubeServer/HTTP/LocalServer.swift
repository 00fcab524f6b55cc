public import CoreMetrics
import Hummingbird
public import KubeModel
public import Logging
public import ServiceLifecycle

/// What a server serves.
public struct LocalServerContents: Sendable {
  public var registry: ResourceRegistry
  public var store: SQLiteObjectStore
  /// Kinds of the registry whose objects are not in the store.
  public var computed: [ComputedObjects]
  /// Paths beside the objects, asked in this order.
  public var routes: [any APIRoutes]

  public init(
    registry: ResourceRegistry, store: SQLiteObjectStore, computed: [ComputedObjects] = [],
    routes: [any APIRoutes] = []
  ) {
    self.registry = registry
    self.store = store
    self.computed = computed
    self.routes = routes
  }
}

/// The API on a Unix socket.
///
/// Cancel the task of ``run(beside:mayPublish:onListening:)`` to stop: watches end, requests under way are answered, and it
/// returns within a few seconds.
public struct LocalServer: Sendable {
  private let socket: LocalSocket
  private let contents: LocalServerContents
  private let metrics: RequestMetrics
  private let clock: @Sendable () -> Int64
  private let logger: Logger
  public var watchLimits = WatchLimits()

  /// - Parameters:
  ///   - socketPath: absolute, at most 107 bytes.
  ///   - metrics: records requests, and must know ``KubeServerDefinitions/recorded``; nil: nothing does.
  public init(
    socketPath: String, _ contents: LocalServerContents, metrics: (any MetricsFactory)? = nil,
    logger: Logger, clock: @escaping @Sendable () -> Int64 = systemSeconds
  ) {
    socket = LocalSocket(path: socketPath)
    self.contents = contents
    self.metrics = RequestMetrics(factory: metrics ?? NOOPMetricsHandler.instance)
    self.clock = clock
    self.logger = logger
  }

  /// Serves until the task is cancelled, together with other services, whose failure ends it too.
  ///
  /// The socket gets its name when `mayPublish` has said yes; `onListening` is called once it answers. Throws a `ReplError`
  /// for a path that cannot be had.
  public func run(
    beside services: [any Service] = [], mayPublish: @escaping @Sendable () async -> Bool = { true },
    onListening: @escaping @Sendable () async -> Void = {}
  ) async throws {
    try socket.prepare()
    defer { socket.remove() }
    let run = ServerRun(logger: quiet)
    let application = application(run, mayPublish, onListening)
    try await run.run([application] + services) { [contents] in
      contents.store.endWatches()
      for kind in contents.computed { kind.endWatches() }
    }
  }

  private func application(
    _ run: ServerRun, _ mayPublish: @escaping @Sendable () async -> Bool,
    _ onListening: @escaping @Sendable () async -> Void
  ) -> Application<APIServer> {
    Application(
      responder: server,
      server: .http1(configuration: .init(additionalChannelHandlers: [ClientEnd()])),
      configuration: ApplicationConfiguration(address: .unixDomainSocket(path: socket.temporaryPath)),
      onServerRunning: { [socket, logger] _ in
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

  private var server: APIServer {
    let computed = Dictionary(contents.computed.map { ($0.kind.resource, $0) }, uniquingKeysWith: { $1 })
    return APIServer(
      objects: ObjectAPI(store: contents.store, registry: contents.registry, clock: clock, virtual: computed),
      routes: contents.routes,
      discovery: Discovery(registry: contents.registry, paths: contents.routes.flatMap(\.paths)),
      access: .standard(), logger: logger, watchLimits: watchLimits, metrics: metrics)
  }

  /// The frameworks' own chatter is of no use to operators.
  private var quiet: Logger {
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .warning)
    return quiet
  }
}
