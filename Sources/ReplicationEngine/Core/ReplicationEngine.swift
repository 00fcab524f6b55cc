import AgentService
import BlockDiff
public import CoreMetrics
public import Logging
public import ReplModel
import Threads

/// The agent as the daemon runs it: an ``AgentCore`` of the real storage, clocks, threads and network, with its trust, its
/// ports and the threads of its upkeep.
///
/// Opened once by the daemon; `stop()` ends it within seconds and loses nothing.
public final class ReplicationEngine: Sendable {
  /// Seconds between two looks at whose trust is over.
  private static let trustInterval = 30.0

  let core: AgentCore
  let trust: TrustStore
  let calls = CallPools()
  private let trustEvents: TrustEvents
  private let server: PeerServer
  private let stateLock: any PoolLockHandle
  private let upkeep = Locked<Upkeep?>(nil)
  private let threads: SystemThreads

  var database: AgentDatabase { core.database }

  /// Opens everything, brings files and database to one state, listens for peers and takes up unfinished runs.
  ///
  /// - Parameter metrics: where ``EngineDefinitions/recorded`` are recorded.
  /// - Throws: `.refused` when another agent uses the state directory or a pool, `.io` and `.damaged` with the file.
  public static func open(
    _ configuration: EngineConfiguration, logger: Logger, clock: any EngineClock = SystemClock(),
    metrics: any MetricsFactory = NOOPMetricsHandler.instance
  ) throws(ReplError) -> ReplicationEngine {
    let engine = try ReplicationEngine(configuration, logger, clock, EngineMetrics(metrics))
    try engine.start()
    return engine
  }

  private init(
    _ configuration: EngineConfiguration, _ logger: Logger, _ clock: any EngineClock, _ metrics: EngineMetrics
  ) throws(ReplError) {
    let storage = LinuxStorage()
    stateLock = try StateDirectory.claim(configuration.stateDirectory, storage: storage)
    let database = try AgentDatabase.open(
      configuration.stateDirectory + "/agent.db", cluster: configuration.clusterID)
    trust = try TrustStore(configuration: configuration, database: database, clock: clock)
    threads = try SystemThreads()
    metrics.showZeros(pools: configuration.pools.map(\.name))
    let environment = AgentEnvironment(
      storage: storage, locks: FileLocking(), database: database,
      live: KernelVolumes(storage: storage, allowedPaths: configuration.allowedPaths), flusher: LinuxVolumeFlusher(),
      clock: clock, elapsed: .system, threads: threads,
      network: TLSNetwork(configuration: configuration, trust: trust, clock: clock), metrics: metrics, logger: logger)
    core = try AgentCore(configuration, environment)
    trustEvents = TrustEvents(database: database, hub: core.hub, node: configuration.node)
    let logs = ConnectionLogs(logger) { clock.ticks() }
    server = try PeerServer(
      configuration: configuration, trust: trust, requests: core.requests,
      pairing: PairingResponder(
        configuration: configuration, trust: trust, clock: clock, events: trustEvents, log: logs.pairings),
      logs: logs)
  }

  private func start() throws(ReplError) {
    try core.start()
    let trust = Chore(name: "trust", seconds: Self.trustInterval) { [weak self] _ in self?.tendTrust() }
    let upkeep = try Upkeep(core.chores + [trust], clock: core.clock)
    self.upkeep.withLock { $0 = upkeep }
  }

  /// Stops listening, shipping and upkeep. Sessions resume after the next start.
  public func stop() {
    calls.stop()
    core.runs.stop()
    upkeep.withLock { $0 }?.stop()
    core.target.beginStop()
    server.stop()
    core.stop()
    threads.stop()
    core.closePools()
    stateLock.release()
  }

  var pairService: PairService {
    PairService(
      configuration: core.configuration, database: database, trust: trust, links: core.links, clock: core.clock,
      events: trustEvents
    ) { [server] cluster in server.cutOff(cluster) }
  }

  /// Trust and tokens whose time is over end, with the connections made under them.
  func tendTrust() {
    do throws(ReplError) {
      // The leaf of a clock that was wrong is found at the next handshake at the latest; this is sooner.
      _ = try trust.identity()
      try pairService.tend()
    } catch {
      core.logger.warning("trust is not looked after", metadata: ["reason": "\(error)"])
    }
    server.tend()
  }
}

/// The agent's state directory: one agent at a time.
enum StateDirectory {
  static func claim(_ path: String, storage: LinuxStorage) throws(ReplError) -> any PoolLockHandle {
    try storage.makeDirectory(path)
    try storage.makeDirectory(path + "/pki")
    do throws(ReplError) {
      return try FileLocking().lock(path + "/lock")
    } catch {
      guard error.kind == .refused else { throw error }
      throw ReplError(
        .refused, subject: "state directory \(path)", cause: "is in use by another repl-agent",
        remedy: "stop it, or give this one a stateDirectory of its own")
    }
  }
}
