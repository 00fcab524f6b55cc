import BlockDiff
import Logging
import ReplModel

/// One agent below its control plane and its sockets: the catalogue, both directions of replication, what it knows of its
/// peers, and what it looks after. Made of an ``AgentEnvironment``, by the daemon as by the simulator.
///
/// Everything that counts is durable before it is told to anybody: an agent that ends at any moment goes on where it was
/// when the next one is made of the same environment.
final class AgentCore: Sendable {
  let configuration: EngineConfiguration
  let environment: AgentEnvironment
  let pools: PoolSet
  let source: SourceContext
  let target: TargetService
  let links: PeerLinks
  let runs: RunBoard
  let heartbeats: Heartbeats
  let requests: InboundRequests
  let hub: EventHub
  let repairs = RepairBoard()
  let documents = DocumentDesk()
  let documentGate = DocumentGate()
  let probes: StorageProbes
  /// What the start found that is not as the agent left it.
  let leftAlone: [SkippedEntry]
  /// What was found at the target side at the start.
  let recovery: TargetRecovery.Report

  var database: AgentDatabase { environment.database }
  var clock: any EngineClock { environment.clock }
  var logger: Logger { environment.logger }

  /// Brings files and database to one state.
  ///
  /// - Throws: `.refused` when another agent uses a pool, `.io` and `.damaged` with the file.
  init(
    _ configuration: EngineConfiguration, _ environment: AgentEnvironment, hub: EventHub = EventHub(),
    budgets: TargetBudgets = TargetBudgets()
  ) throws(ReplError) {
    let (database, clock, logger) = (environment.database, environment.clock, environment.logger)
    self.configuration = configuration
    self.environment = environment
    self.hub = hub
    for line in try database.write({ try UnreadableRows.setAside($0, at: clock.now()) }) {
      logger.error("agent database: a row that cannot be read", metadata: ["what": "\(line)"])
    }
    pools = try PoolSet.open(
      configuration, database: database, storage: environment.storage, lock: environment.locks)
    probes = StorageProbes(clock: clock, storage: environment.storage, events: hub, node: configuration.node)
    for entry in pools.entries { probes.noteSpace(of: .pool(entry.name), entry.layout.pool) }
    links = PeerLinks(database: database, network: environment.network, clock: clock)
    let streams = StreamBudget(capacity: configuration.streamsInMemory)
    source = Self.source(configuration, environment, pools, hub, streams)
    target = TargetService(
      context: Self.target(configuration, environment, pools, hub, streams, repairs, links, budgets))
    runs = RunBoard(context: source, threads: environment.threads, links: links, logger: logger)
    heartbeats = Heartbeats(
      threads: environment.threads,
      ask: PeerWatch(source: source, threads: environment.threads, links: links, logger: logger).ask)
    requests = InboundRequests(
      service: target, documents: documents, repairs: repairs, heardClocks: links.heardClocks, clock: clock)
    source.activity.ask { [weak runs] in runs?.isBusy($0) ?? false }
    recovery = try TargetRecovery(context: target.context).run()
    let swept = try SnapshotKeeper(context: source).sweep()
    leftAlone = Set(recovery.skipped + swept + pools.entries.flatMap { $0.pool.strays() }).sorted { $0.path < $1.path }
    for (cluster, offset) in try RecordedClocks(context: target.context).offsets() {
      links.heardClocks.recall(offset, of: cluster)
    }
    tellFindings()
  }

  private static func source(
    _ configuration: EngineConfiguration, _ environment: AgentEnvironment, _ pools: PoolSet, _ hub: EventHub,
    _ streams: StreamBudget
  ) -> SourceContext {
    let (clock, metrics) = (environment.clock, environment.metrics)
    let gate = BandwidthGate(configuration.bandwidth) { [zone = configuration.timeZone] in
      zone.secondOfDay(at: clock.now())
    }
    return SourceContext(
      configuration: configuration, database: environment.database, storage: environment.storage,
      live: environment.live,
      snapshotter: ReflinkSnapshotter(
        storage: environment.storage, flusher: environment.flusher, clock: environment.elapsed.now),
      pools: pools, clock: clock, random: environment.random, events: hub,
      pace: { metrics.waited(nanoseconds: gate.spend($0)) }, threads: environment.threads,
      places: SessionPlaces(capacity: configuration.effectiveVolumes), streams: streams, metrics: metrics)
  }

  private static func target(
    _ configuration: EngineConfiguration, _ environment: AgentEnvironment, _ pools: PoolSet, _ hub: EventHub,
    _ streams: StreamBudget, _ repairs: RepairBoard, _ links: PeerLinks, _ budgets: TargetBudgets
  ) -> TargetContext {
    let threads = environment.threads
    return TargetContext(
      configuration: configuration, database: environment.database, storage: environment.storage, pools: pools,
      clock: environment.clock, random: environment.random, elapsed: environment.elapsed, events: hub,
      clockOffset: { [links] in links.clockOffset($0) }, background: { threads.later($0) }, repairs: repairs,
      clockSteps: ClockStepWatch(clock: environment.clock), metrics: environment.metrics, budgets: budgets,
      streams: streams, spawn: { (work) throws(ReplError) in try threads.start("work", work) },
      logger: environment.logger)
  }

  private func tellFindings() {
    for directory in recovery.unrecorded {
      logger.warning(
        "files of a point that the database does not know: repl-agent recover adopts them",
        metadata: ["directory": "\(directory)"])
    }
    for directory in recovery.missing {
      logger.error("the files of a recovery point are gone", metadata: ["directory": "\(directory)"])
    }
    for intent in recovery.unfinished { tell(intent) }
    for entry in leftAlone {
      logger.warning(
        "left alone: not as the agent left it", metadata: ["path": "\(entry.path)", "cause": "\(entry.cause)"])
    }
  }

  /// Takes up the runs that the agent before has left.
  func start() throws(ReplError) {
    try database.read { database in
      try RunRecord.eachFinished(database, newest: 100) { record in
        for report in record.report.volumes { self.source.lastSessions.record(report, peer: record.peer) }
      }
    }
    for record in try database.read({ try RunRecord.unfinished($0) }) { runs.submit(record) }
  }

  /// Ends what is under way, within seconds; nothing of it is lost.
  func stop() {
    links.stop()
    runs.waitForEnd(seconds: 5)
    target.stop()
  }

  /// Lets other agents have the pools. After everything else has ended.
  func closePools() { for entry in pools.entries { entry.pool.close() } }
}
