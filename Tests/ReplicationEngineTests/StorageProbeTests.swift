import AgentService
import BlockDiff
import ReplModel
import Synchronization
import TestSupport
import Testing
import WireTransport

@testable import ReplicationEngine
import Threads

@Suite("A pool's file system is probed by writing, syncing and reading")
struct StorageProbeTests {
  private let clock = TestClock()
  private let events = EventHub()
  private let directory: TemporaryDirectory
  private let storage = RecordingStorage(LinuxStorage())
  private let entry: PoolSet.Entry
  private let probes: StorageProbes

  init() throws {
    directory = try TemporaryDirectory()
    let pool = try Pool.open(
      directory.path, owner: PoolOwner(cluster: "site-a", node: "n1"), storage: LinuxStorage(), lock: FileLocking())
    entry = PoolSet.Entry(name: "main", pool: pool)
    probes = StorageProbes(clock: clock, storage: storage, events: events, node: "n1")
  }

  private static func probe(_ probes: StorageProbes, _ entry: PoolSet.Entry) {
    probes.look(at: .pool(entry.name), entry.layout.pool, file: entry.layout.probe)
  }

  /// A look at which a probe is due.
  private func probe() {
    clock.advance(seconds: StorageProbes.interval)
    Self.probe(probes, entry)
  }

  @Test("Between two probes a look writes nothing, and finds out how much room there is")
  func looks() throws {
    #expect(probes.space(of: .pool("main")) == nil)
    probe()
    let writes = storage.gate.changeCount
    clock.advance(seconds: StorageProbes.lookInterval)
    Self.probe(probes, entry)
    #expect(storage.gate.changeCount == writes)
    #expect(try #require(probes.space(of: .pool("main"))).total > 0)
  }

  @Test("The state directory is probed as well, and there a full one is a fault")
  func stateDirectory() async {
    let heard = events.subscribe()
    let file = directory.path + "/probe"
    storage.gate.fail(with: ReplError(.noSpace, subject: file, cause: "full"), once: false) { $0.kind == .write }
    probes.look(at: .stateDirectory, directory.path, file: file)
    #expect(probes.fault(of: .stateDirectory).contains("full"))
    storage.gate.reset()
    clock.advance(seconds: StorageProbes.interval)
    probes.look(at: .stateDirectory, directory.path, file: file)
    #expect(probes.fault(of: .stateDirectory).isEmpty)
    await expectEvents(["StateDirectoryFault", "StateDirectoryAnswers"], heard)
  }

  @Test("One that works has no fault, and nothing is told")
  func works() async {
    let heard = events.subscribe()
    probe()
    #expect(probes.fault(of: .pool("main")).isEmpty)
    #expect(probes.fault(of: .pool("another")).isEmpty)
    await expectEvents([], heard)
  }

  @Test("One that fails is told of once, and once when it works again")
  func fails() async {
    let heard = events.subscribe()
    let error = ReplError(.io, subject: entry.layout.probe, cause: "input/output error")
    storage.gate.fail(with: error, once: false) { $0.kind == .synchronize }
    probe()
    probe()
    #expect(probes.fault(of: .pool("main")).contains("input/output error"))
    storage.gate.reset()
    probe()
    #expect(probes.fault(of: .pool("main")).isEmpty)
    await expectEvents(["PoolFault", "PoolAnswers"], heard)
  }

  @Test("A full one is no fault: its level tells")
  func full() {
    let error = ReplError(.noSpace, subject: entry.layout.probe, cause: "full")
    storage.gate.fail(with: error) { $0.kind == .write }
    probe()
    #expect(probes.fault(of: .pool("main")).isEmpty)
  }

  @Test("One that hangs is a fault while its probe hangs, and is told of by whoever looks")
  func hangs() async throws {
    let heard = events.subscribe()
    let reached = BoundedQueue<Void>(capacity: 1)
    let release = BoundedQueue<Void>(capacity: 1)
    storage.gate.fail(with: ReplError(.io, subject: "never", cause: "thrown")) { operation in
      guard operation.kind == .synchronize else { return false }
      _ = reached.tryPut(())
      _ = release.take(deadline: .after(patience))
      return false
    }
    let hanging = try WorkerThread(name: "probe") { [probes, entry] in Self.probe(probes, entry) }
    #expect(reached.take(deadline: .after(patience)) != nil)
    #expect(probes.fault(of: .pool("main")).isEmpty)
    clock.advance(seconds: StorageProbes.patience + 1)
    #expect(probes.fault(of: .pool("main")).contains("has not answered"))
    probes.tellChanges()
    _ = release.tryPut(())
    hanging.join()
    #expect(probes.fault(of: .pool("main")).isEmpty)
    await expectEvents(["PoolFault", "PoolAnswers"], heard)
  }

  /// What was told until now, and nothing else.
  private func expectEvents(_ reasons: [String], _ heard: AsyncStream<EngineEvent>) async {
    events.post(ObjectReference(kind: "Pool", namespace: "", name: "", uid: ""), "End", "")
    var told: [String] = []
    for await event in heard {
      if event.reason == "End" { break }
      told.append(event.reason)
    }
    #expect(told == reasons)
  }
}
