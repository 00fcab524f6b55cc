import AgentService
import BlockDiff
import Logging
import ReplModel
import TestSupport
import Testing

@testable import ReplicationEngine

/// How long a peer is trusted after pair objects with it are deleted.
@Suite("The end of pairs") struct PairServiceTests {
  private let directory: TemporaryDirectory
  private let clock = TestClock(sleep: .isReal)
  private let engine: ReplicationEngine

  init() throws {
    directory = try TemporaryDirectory()
    var configuration = EngineConfiguration(
      clusterID: "here", node: "node", stateDirectory: directory.path + "/state",
      pools: [PoolConfiguration(name: "main", path: directory.path)], allowedPaths: [])
    configuration.listenAddress = "127.0.0.1"
    (configuration.controlPort, configuration.dataPort) = (0, 0)
    configuration.pairRetention = 3600
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    engine = try ReplicationEngine.open(configuration, logger: logger, clock: clock)
  }

  private func pair(_ name: String) throws -> ObjectReference {
    let reference = ObjectReference(kind: "ClusterPair", namespace: "shop", name: name, uid: "uid-\(name)")
    let peer = PeerRecord(
      cluster: "west", node: "n", authority: [1], host: "127.0.0.1", port: 1, invited: false)
    let pair = PairRecord(
      reference: reference, peer: "west", host: "127.0.0.1", port: 1, mode: .default, tokenHash: [2])
    try engine.database.write {
      try peer.save($0)
      try pair.save($0)
    }
    return reference
  }

  private var isTrusted: Bool { engine.trust.pinnedAuthorities().contains { $0.clusterID == "west" } }

  @Test("trust outlives the last pair by pairRetention, and its keys and points with it")
  func retention() throws {
    defer { engine.stop() }
    let (first, last) = (try pair("one"), try pair("two"))
    try engine.pairService.remove(first, now: false)
    clock.advance(seconds: 7200)
    engine.tendTrust()
    #expect(isTrusted, "a pair is left")
    try engine.pairService.remove(last, now: false)
    #expect(isTrusted)
    clock.advance(seconds: 3599)
    engine.tendTrust()
    #expect(isTrusted)
    clock.step(seconds: 86400)
    engine.tendTrust()
    #expect(isTrusted, "a clock that is set is no time that has passed")
    clock.advance(seconds: 1)
    engine.tendTrust()
    #expect(!isTrusted)
    #expect(try engine.database.read { try PeerRecord.find($0, "west") }?.authority == [1], "it may be renewed")
  }

  @Test("it ends at once when that is asked for")
  func atOnce() throws {
    defer { engine.stop() }
    let only = try pair("one")
    #expect(isTrusted)
    try engine.pairService.remove(only, now: true)
    #expect(!isTrusted)
    clock.step(seconds: -365 * 86400)
    #expect(!isTrusted, "a clock that goes back revives nobody")
    #expect(throws: ReplError.self) { try engine.pairService.revoke("west") }
  }

  @Test("whenever a pin goes, an event says so", arguments: ["delete --now", "revoke", "retention"])
  func event(path: String) async throws {
    defer { engine.stop() }
    let events = engine.events()
    let only = try pair("one")
    switch path {
    case "delete --now": try engine.pairService.remove(only, now: true)
    case "revoke":
      try await engine.database.queue.write { try $0.execute(sql: "DELETE FROM pair") }
      try engine.pairService.revoke("west")
    default:
      try engine.pairService.remove(only, now: false)
      clock.advance(seconds: 3601)
      engine.tendTrust()
    }
    var told: EngineEvent?
    for await event in events {
      told = event
      break
    }
    #expect(told?.reason == "TrustEnded")
    #expect(told?.warning == true)
    #expect(told?.message.contains("west") == true)
  }
}
