import BlockDiff
import GRDB
import ReplModel
import TestSupport

@testable import ReplicationEngine

/// One agent's machine: a disk with a pool, and a database whose commits survive. Used by one thread.
final class Machine: @unchecked Sendable {
  // Unchecked: the simulation runs on one thread.

  let cluster: String
  let disk = SimulatedDisk()
  let database: AgentDatabase
  let power: Power
  let threads = LongWorkThreads()
  private(set) var pools: PoolSet

  init(_ cluster: String) throws(ReplError) {
    self.cluster = cluster
    database = try .inMemory()
    power = Power(disk.gate)
    pools = PoolSet(entries: [], storage: disk)
    database.queue.add(transactionObserver: power, extent: .databaseLifetime)
    try disk.makeDirectory("/pool")
    try disk.synchronizeDirectory("/")
    try openPool()
  }

  var layout: PoolLayout { PoolLayout(pool: "/pool") }

  /// Takes the power away, or sees that it is gone, and starts the machine again.
  func reboot(using generator: inout SeededGenerator) throws(ReplError) {
    disk.crash(using: &generator)
    power.restore()
    try openPool()
  }

  private func openPool() throws(ReplError) {
    let owner = PoolOwner(cluster: cluster, node: "node")
    let pool = try Pool.open("/pool", owner: owner, storage: disk, lock: SimulatedPoolLocks())
    pools = PoolSet(entries: [PoolSet.Entry(name: "main", pool: pool)], storage: disk)
  }

  /// What one peer may take of the pool.
  var peerStorage: StorageLimit?

  var configuration: EngineConfiguration {
    var configuration = EngineConfiguration(
      clusterID: cluster, node: "node", stateDirectory: "/state",
      pools: [PoolConfiguration(name: "main", path: "/pool")], allowedPaths: ["/"])
    configuration.peerStorage = peerStorage
    return configuration
  }
}

/// Nothing waits in a simulated kernel.
struct SimulatedFlusher: VolumeFlusher {
  let world: World
  func flush(_ live: any StorageFile) throws(ReplError) { world.onFlush() }
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
