import BlockDiff
public import CoreMetrics
public import Logging
public import ReplModel
import Synchronization
import WireProtocol
import Threads

/// The composition root: owns the database, pools, trust, both sides of replication and their threads.
///
/// Opened once by the daemon; `stop()` ends it within seconds and loses nothing, since everything that counts is durable
/// before it is told to anybody.
public final class ReplicationEngine: Sendable {
  let configuration: EngineConfiguration
  let database: AgentDatabase
  let pools: PoolSet
  let source: SourceContext
  let target: TargetService
  let trust: TrustStore
  let links: PeerLinks
  let runs: RunBoard
  let heartbeats: Heartbeats
  let hub: EventHub
  let clock: any EngineClock
  let logger: Logger
  let repairs = RepairBoard()
  let documents = DocumentDesk()
  let documentGate = DocumentGate()
  /// What the start found that is not as the agent left it.
  let leftAlone: [SkippedEntry]
  let probes: PoolProbes
  private let trustEvents: TrustEvents
  private let server: PeerServer
  private let stateLock: any PoolLockHandle
  private let upkeep = Mutex<Upkeep?>(nil)
  private let background: BackgroundWork

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
    self.configuration = configuration
    self.logger = logger
    self.clock = clock
    let storage = LinuxStorage()
    stateLock = try StateDirectory.claim(configuration.stateDirectory, storage: storage)
    database = try AgentDatabase.open(
      configuration.stateDirectory + "/agent.db", cluster: configuration.clusterID)
    for line in try database.write({ try UnreadableRows.setAside($0, at: clock.now()) }) {
      logger.error("agent database: a row that cannot be read", metadata: ["what": "\(line)"])
    }
    pools = try PoolSet.open(configuration, database: database, storage: storage)
    hub = EventHub()
    probes = PoolProbes(clock: clock, events: hub)
    trust = try TrustStore(configuration: configuration, database: database, clock: clock)
    links = PeerLinks(configuration: configuration, database: database, trust: trust, clock: clock)
    background = try BackgroundWork()
    metrics.showZeros(pools: configuration.pools.map(\.name))
    let streams = StreamBudget(capacity: configuration.streamsInMemory)
    let gate = BandwidthGate(configuration.bandwidth) { [zone = configuration.timeZone] in
      zone.secondOfDay(at: clock.now())
    }
    source = SourceContext(
      configuration: configuration, database: database, storage: storage,
      live: KernelVolumes(storage: storage, allowedPaths: configuration.allowedPaths),
      snapshotter: ReflinkSnapshotter(storage: storage), pools: pools, clock: clock, events: hub,
      pace: { metrics.waited(nanoseconds: gate.spend($0)) }, threads: DedicatedThreads(name: "stream"),
      places: SessionPlaces(capacity: configuration.effectiveVolumes), streams: streams, metrics: metrics)
    target = TargetService(
      context: TargetContext(
        configuration: configuration, database: database, storage: storage, pools: pools, clock: clock,
        elapsed: .system, events: hub, clockOffset: { [links] in links.clockOffset($0) },
        background: { [background] in background.submit($0) }, repairs: repairs,
        clockSteps: ClockStepWatch(clock: clock), metrics: metrics, streams: streams, logger: logger))
    runs = RunBoard(context: source, links: links, logger: logger)
    heartbeats = Heartbeats(ask: PeerWatch(source: source, links: links, logger: logger).ask)
    source.activity.ask { [weak runs] in runs?.isBusy($0) ?? false }
    let report = try TargetRecovery(context: target.context).run()
    for directory in report.unrecorded {
      logger.warning(
        "files of a point that the database does not know: repl-agent recover adopts them",
        metadata: ["directory": "\(directory)"])
    }
    for directory in report.missing {
      logger.error("the files of a recovery point are gone", metadata: ["directory": "\(directory)"])
    }
    for intent in report.unfinished {
      logger.error(
        "a promotion could not be finished: it is tried again",
        metadata: ["volume": "\(intent.source)", "reason": "\(intent.error)"])
    }
    let left =
      report.skipped + (try SnapshotKeeper(context: source).sweep()) + pools.entries.flatMap { $0.pool.strays() }
    leftAlone = Set(left).sorted { $0.path < $1.path }
    for entry in leftAlone {
      logger.warning(
        "left alone: not as the agent left it", metadata: ["path": "\(entry.path)", "cause": "\(entry.cause)"])
    }
    trustEvents = TrustEvents(database: database, hub: hub, node: configuration.node)
    let logs = ConnectionLogs(logger) { clock.ticks() }
    server = try PeerServer(
      configuration: configuration, trust: trust, service: target,
      pairing: PairingResponder(
        configuration: configuration, trust: trust, clock: clock, events: trustEvents, log: logs.pairings),
      documents: documents, repairs: repairs, heardClocks: links.heardClocks, clock: clock, logs: logs)
  }

  private func start() throws(ReplError) {
    for record in try database.read({ try RunRecord.finished($0, newest: 100) }).reversed() {
      for report in record.report.volumes { source.lastSessions.record(report, peer: record.peer) }
    }
    for record in try database.read({ try RunRecord.unfinished($0) }) { runs.submit(record) }
    let upkeep = try Upkeep(engine: self)
    self.upkeep.withLock { $0 = upkeep }
  }

  /// Stops listening, shipping and upkeep. Sessions resume after the next start.
  public func stop() {
    runs.stop()
    upkeep.withLock { $0 }?.stop()
    target.beginStop()
    server.stop()
    links.stop()
    runs.waitForEnd(seconds: 5)
    target.stop()
    background.stop()
    for entry in pools.entries { entry.pool.close() }
    stateLock.release()
  }

  var pairService: PairService {
    PairService(
      configuration: configuration, database: database, trust: trust, links: links, clock: clock, events: trustEvents
    ) { [server] cluster in server.cutOff(cluster) }
  }

  /// Trust and tokens whose time is over end, with the connections made under them.
  func tendTrust() {
    do throws(ReplError) {
      // The leaf of a clock that was wrong is found at the next handshake at the latest; this is sooner.
      _ = try trust.identity()
      try pairService.tend()
    } catch {
      logger.warning("trust is not looked after", metadata: ["reason": "\(error)"])
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

extension PoolSet {
  /// Opens and locks every pool of the configuration. One that was used before must be there already.
  static func open(
    _ configuration: EngineConfiguration, database: AgentDatabase, storage: any Storage,
    lock: any PoolLocking = FileLocking()
  ) throws(ReplError) -> PoolSet {
    let owner = PoolOwner(cluster: configuration.clusterID, node: configuration.node)
    var entries: [Entry] = []
    do throws(ReplError) {
      for wanted in configuration.pools {
        let known = try database.read { try KnownPool.find($0, wanted.name) }
        let pool = try Pool.open(wanted.path, owner: owner, known: known, storage: storage, lock: lock)
        entries.append(Entry(name: wanted.name, pool: pool))
        try database.write { try KnownPool.save($0, wanted.name, pool.id) }
      }
    } catch {
      for entry in entries { entry.pool.close() }
      throw error
    }
    return PoolSet(entries: entries, storage: storage)
  }
}

/// One thread for work that nobody waits for: ready clones, retention.
final class BackgroundWork: Sendable {
  private let queue = BoundedQueue<@Sendable () -> Void>(capacity: 256)
  private let thread: WorkerThread

  init() throws(ReplError) {
    thread = try WorkerThread(name: "background") { [queue] in
      while let work = queue.take() { work() }
    }
  }

  /// Runs it later; at once when very much waits already.
  func submit(_ work: @escaping @Sendable () -> Void) {
    if !queue.tryPut(work) { work() }
  }

  /// Lets what has begun end and drops the rest: start-up makes up for it.
  func stop() {
    _ = queue.closeAndDrain()
    thread.join()
  }
}
