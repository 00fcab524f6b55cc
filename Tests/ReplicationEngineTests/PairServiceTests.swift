import BlockDiff
import Logging
import ReplModel
import TestSupport
import Testing

@testable import ReplicationEngine

/// How long a peer is trusted after pair objects with it are deleted.
@Suite("The end of pairs") struct PairServiceTests {
  private let directory: TemporaryDirectory
  private let clock = TestClock()
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
      cluster: "west", node: "n", authority: [1], host: "127.0.0.1", port: 1, expiresAt: nil, invited: false)
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
    #expect(isTrusted, "a pair is left")
    try engine.pairService.remove(last, now: false)
    #expect(isTrusted)
    clock.advance(seconds: 3599)
    #expect(isTrusted)
    clock.advance(seconds: 1)
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
  }
}
