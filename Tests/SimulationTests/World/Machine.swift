import AgentService
import BlockDiff
import GRDB
import Logging
import MetricsExposition
import ReplModel
import Synchronization
import TestSupport

@testable import ReplicationEngine

/// One machine with an agent: a disk with a pool, a database whose commits survive, and whatever the agent is at the
/// moment. Used by one thread.
final class Machine: @unchecked Sendable {
  // Unchecked: the simulation runs on one thread.

  let cluster: String
  let disk = SimulatedDisk()
  let database: AgentDatabase
  let power: Power
  let threads = SimulatedThreads()
  /// What the agent records, in all its lives.
  let metrics = MetricsRegistry(EngineDefinitions.recorded)
  let events = EventHub()
  /// What the agent logs at the default level, in all its lives.
  let log = LogLines()
  /// Whether volumes without snapshots hold still.
  let stillness = Stillness()
  /// Volumes that are written on this machine.
  var volumes: [VolumeRecord] = []
  /// Live contents of each whenever a run began.
  var versions: [VolumeID: [[UInt8]]] = [:]
  /// Called when a snapshot has begun, before its volume is cloned.
  var onFlush: () -> Void = {}
  var retention = RetentionPolicy(keepLast: 1000)
  /// What one peer may take of the pool.
  var peerStorage: StorageLimit?
  let clock: VirtualClock
  private let network = SimulatedNetwork()
  private let random: Randomness
  private var agent: AgentCore?

  init(_ cluster: String, clock: VirtualClock, random: SeededGenerator) throws(ReplError) {
    self.cluster = cluster
    self.clock = clock
    let generator = SharedGenerator(random)
    self.random = Randomness { generator.next() }
    database = try .inMemory()
    power = Power(disk.gate)
    database.queue.add(transactionObserver: power, extent: .databaseLifetime)
    for path in ["/state", "/pool"] { try disk.makeDirectory(path) }
    try disk.synchronizeDirectory("/")
    try disk.makeDirectory("/pool/volumes")
    try disk.synchronizeDirectory("/pool")
  }

  /// The agent of this life of the machine.
  var core: AgentCore {
    guard let agent else { preconditionFailure("the machine was not started") }
    return agent
  }

  var pools: PoolSet { core.pools }
  var layout: PoolLayout { PoolLayout(pool: "/pool") }

  /// Starts the agent, as the daemon does. Its unfinished runs wait for ``AgentCore/start()``.
  func start(in world: World) throws(ReplError) {
    network.world = world
    network.machine = self
    var budgets = TargetBudgets()
    budgets.replyTime = .zero
    budgets.turnTime = .zero
    let environment = AgentEnvironment(
      storage: disk, locks: SimulatedPoolLocks(), database: database,
      live: SimulatedVolumes(disk: disk, stillness: stillness), flusher: SimulatedFlusher(machine: self), clock: clock,
      elapsed: clock.elapsedClock, random: random, threads: threads, network: network,
      metrics: EngineMetrics(metrics), logger: log.logger(cluster))
    agent = try AgentCore(configuration, environment, hub: events, budgets: budgets)
  }

  /// Takes the power away, or sees that it is gone, and starts the machine again.
  func reboot(in world: World, using generator: inout SeededGenerator) throws(ReplError) {
    disk.crash(using: &generator)
    power.restore()
    try start(in: world)
  }

  /// Ends the agent in good order and starts it again.
  func restart(in world: World) throws(ReplError) {
    core.stop()
    try start(in: world)
  }

  /// Does every chore that an agent has, once, in their order.
  func doChores() { for chore in core.chores { chore.round { false } } }

  var configuration: EngineConfiguration {
    var configuration = EngineConfiguration(
      clusterID: cluster, node: "node", stateDirectory: "/state",
      pools: [PoolConfiguration(name: "main", path: "/pool")], allowedPaths: ["/"])
    configuration.streams = 1
    configuration.retention = retention
    configuration.peerStorage = peerStorage
    return configuration
  }

  func requireIsUp() throws(ReplError) { if power.isDown { throw OperationGate.powerCut } }

  /// Trusts another machine and knows the way to it.
  func pair(with other: Machine) throws(ReplError) {
    let peer = PeerRecord(cluster: other.cluster, node: "node", authority: [], host: other.cluster, port: 9001)
    let pair = PairRecord(
      reference: ObjectReference(kind: "ClusterPair", namespace: "app", name: "pair", uid: "pair"), peer: other.cluster,
      host: other.cluster, port: 9001, mode: .disasterRecovery, tokenHash: [])
    try database.write { database in
      try peer.save(database)
      try pair.save(database)
    }
  }
}

/// Random numbers for everything that an agent makes up.
private final class SharedGenerator: Sendable {
  private let generator: Mutex<SeededGenerator>
  init(_ generator: SeededGenerator) { self.generator = Mutex(generator) }
  func next() -> UInt64 { generator.withLock { $0.next() } }
}

/// Brings the requests of one machine to the others.
final class SimulatedNetwork: PeerNetwork, @unchecked Sendable {
  // Unchecked: the simulation runs on one thread.

  weak var world: World?
  weak var machine: Machine?

  func transport(to peer: PeerRecord) -> any PeerTransport {
    guard let world, let machine else { preconditionFailure("the machine was not started") }
    return SimulatedLink(world, from: machine)
  }
}

/// Nothing waits in a simulated kernel.
struct SimulatedFlusher: VolumeFlusher {
  unowned let machine: Machine
  func flush(_ live: any StorageFile) throws(ReplError) { machine.onFlush() }
}

/// What a volume without snapshots answers when it is asked whether it holds still. Used by one thread.
final class Stillness: @unchecked Sendable {
  // Unchecked: the simulation runs on one thread.

  var check: () throws(ReplError) -> Void = {}
  var finish: () throws(ReplError) -> Void = {}
  var end: () -> Void = {}
}

/// Live volumes as files of the simulated disk; nobody writes them while a watch lasts, unless ``Stillness`` says so.
struct SimulatedVolumes: LiveVolumes {
  let disk: SimulatedDisk
  let stillness: Stillness

  func open(_ volume: VolumeRecord) throws(ReplError) -> any StorageFile { try disk.open(volume.path, .read) }

  func watch(_ volume: VolumeRecord) throws(ReplError) -> any StillnessWatch {
    Watch(file: try open(volume), stillness: stillness)
  }

  func identity(of file: any StorageFile) throws(ReplError) -> DurableIdentity? { nil }

  private struct Watch: StillnessWatch {
    let file: any StorageFile
    let stillness: Stillness
    func check() throws(ReplError) { try stillness.check() }
    func finish() throws(ReplError) { try stillness.finish() }
    func end() {
      stillness.end()
      try? file.close()
    }
  }
}
