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
struct PoolProbeTests {
  private let clock = TestClock()
  private let events = EventHub()
  private let directory: TemporaryDirectory
  private let storage = RecordingStorage(LinuxStorage())
  private let entry: PoolSet.Entry
  private let probes: PoolProbes

  init() throws {
    directory = try TemporaryDirectory()
    let pool = try Pool.open(
      directory.path, owner: PoolOwner(cluster: "site-a", node: "n1"), storage: LinuxStorage(), lock: FileLocking())
    entry = PoolSet.Entry(name: "main", pool: pool)
    probes = PoolProbes(clock: clock, events: events)
  }

  @Test("One that works has no fault, and nothing is told")
  func works() async {
    let heard = events.subscribe()
    probes.probe(entry, storage)
    #expect(probes.fault(of: "main").isEmpty)
    #expect(probes.fault(of: "another").isEmpty)
    await expectEvents([], heard)
  }

  @Test("One that fails is told of once, and once when it works again")
  func fails() async {
    let heard = events.subscribe()
    let error = ReplError(.io, subject: entry.layout.probe, cause: "input/output error")
    storage.gate.fail(with: error, once: false) { $0.kind == .synchronize }
    probes.probe(entry, storage)
    probes.probe(entry, storage)
    #expect(probes.fault(of: "main").contains("input/output error"))
    storage.gate.reset()
    probes.probe(entry, storage)
    #expect(probes.fault(of: "main").isEmpty)
    await expectEvents(["PoolFault", "PoolAnswers"], heard)
  }

  @Test("A full one is no fault: its level tells")
  func full() {
    let error = ReplError(.noSpace, subject: entry.layout.probe, cause: "full")
    storage.gate.fail(with: error) { $0.kind == .write }
    probes.probe(entry, storage)
    #expect(probes.fault(of: "main").isEmpty)
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
    let hanging = try WorkerThread(name: "probe") { [probes, entry, storage] in probes.probe(entry, storage) }
    #expect(reached.take(deadline: .after(patience)) != nil)
    #expect(probes.fault(of: "main").isEmpty)
    clock.advance(seconds: PoolProbes.patience + 1)
    #expect(probes.fault(of: "main").contains("has not answered"))
    probes.tellChanges(of: ["main"])
    _ = release.tryPut(())
    hanging.join()
    #expect(probes.fault(of: "main").isEmpty)
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
