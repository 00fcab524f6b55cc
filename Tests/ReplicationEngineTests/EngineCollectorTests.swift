import Foundation
import Logging
import MetricsExposition
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import BlockDiff
@testable import ReplicationEngine

/// What a scrape reads from the engine's database and pools.
@Suite("Figures of the engine") struct EngineCollectorTests {
  private let directory: TemporaryDirectory
  private let configuration: EngineConfiguration
  private let engine: ReplicationEngine
  private let branch = Branch(epoch: 1, id: .random())

  init() throws {
    directory = try TemporaryDirectory()
    var configuration = EngineConfiguration(
      clusterID: "here", node: "node", stateDirectory: directory.path + "/state",
      pools: [PoolConfiguration(name: "main", path: directory.path)], allowedPaths: [])
    configuration.listenAddress = "127.0.0.1"
    configuration.bandwidth = BandwidthSchedule(bytesPerSecond: 1 << 20)
    (configuration.controlPort, configuration.dataPort) = (0, 0)
    self.configuration = configuration
    engine = try Self.open(configuration)
  }

  /// Stopped: its upkeep would look for the files of points that a test makes up.
  private static func open(_ configuration: EngineConfiguration) throws -> ReplicationEngine {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let engine = try ReplicationEngine.open(configuration, logger: logger, clock: SystemClock())
    engine.stop()
    return engine
  }

  private func page(of other: ReplicationEngine? = nil) throws -> ExpositionPage {
    var figures = EngineFigures(core: (other ?? engine).core)
    try figures.read()
    return try ExpositionPage(ExpositionText.render(figures.set.families))
  }

  private func ago(_ seconds: Double) -> Timestamp {
    Timestamp(nanoseconds: SystemClock().now().nanoseconds - Int64(seconds * 1e9))
  }

  private func seal(_ volume: VolumeID, _ generation: UInt64, taken seconds: Double) -> Seal {
    Seal(
      point: .random(), volume: volume, lineage: .random(), branch: branch, base: nil, generation: generation,
      size: 4_096, fingerprint: Fingerprint(low: 1, high: 2), nonZeroBlocks: 1, takenAt: ago(seconds),
      consistency: .volume, proof: .full, group: .random(), members: [])
  }

  /// A volume `shop/db` held for `west`, with points of these states, the last one the newest.
  private func hold(_ states: [(PointState, seconds: Double)], role: VolumeRole = .target) throws {
    let id = VolumeID.random()
    try engine.database.write { database in
      for (index, point) in states.enumerated() {
        let seal = seal(id, UInt64(index + 1), taken: point.seconds)
        if index == 0 {
          try Replica(
            cluster: "west", volume: id, namespace: "shop", name: "db",
            authority: Authority(lineage: seal.lineage, branch: branch, role: role), pool: "main", deletedAt: nil
          ).insert(database)
        }
        try CatalogPoint(
          cluster: "west", seal: seal, pool: "main", sealedAt: seal.takenAt,
          provenAt: point.0 == .sealed ? seal.takenAt : nil, state: point.0, confirmed: true, damaged: [], doubt: nil
        ).insert(database)
      }
    }
  }

  private func isAbout(_ value: Double?, _ expected: Double) -> Bool {
    value.map { (expected..<expected + 60).contains($0) } ?? false
  }

  @Test("a volume of this agent has its lag and snapshots by peer")
  func own() async throws {
    let id = VolumeID.random()
    try engine.database.write { database in
      try VolumeRecord(
        replica: Replica(
          cluster: "here", volume: id, namespace: "shop", name: "db",
          authority: Authority(lineage: .random(), branch: branch, role: .source), pool: "main"),
        path: directory.path + "/db", isDevice: false, size: 4_096, allowFuzzy: false, nextGeneration: 9,
        distrustReason: nil, fullReason: nil
      ).insert(database)
      let kept: [(String, UInt64, SnapshotRecord.State, Double)] = [
        ("west", 1, .sealed, 900), ("west", 2, .sealed, 600), ("west", 3, .taken, 10), ("east", 4, .inDoubt, 5),
      ]
      for (peer, generation, state, seconds) in kept {
        let seal = seal(id, generation, taken: seconds)
        try SnapshotRecord(
          point: seal.point, volume: id, peer: peer, generation: generation, size: 4_096, takenAt: seal.takenAt,
          consistency: .volume, stallNanoseconds: 0, directory: "\(directory.path)/\(generation)", hasImage: false,
          state: state, seal: seal
        ).insert(database)
      }
      try database.execute(sql: "UPDATE snapshot SET scrubbedAt = ? WHERE generation = 1", arguments: [ago(300)])
    }
    let west = ["namespace": "shop", "volume": "db", "cluster": "west"]
    var page = try page()
    #expect(isAbout(page.value("repl_agent_volume_lag_seconds", west), 600))
    #expect(page.samples("repl_agent_volume_lag_seconds").count == 1, "a peer without a sealed point has no lag")
    #expect(page.value("repl_agent_snapshots", west.merging(["state": "sealed"]) { $1 }) == 2)
    #expect(page.value("repl_agent_snapshots", ["cluster": "east", "state": "in_doubt"]) == 1)
    #expect(isAbout(page.value("repl_agent_scrub_age_seconds", west.merging(["side": "source"]) { $1 }), 300))
    #expect(page.value("repl_agent_volume_distrusted", ["volume": "db"]) == 0)
    #expect(page.value("repl_agent_volume_size_bytes", ["volume": "db"]) == 4096)

    try engine.database.write { try VolumeRecord.distrust($0, id, peer: "west", because: "a scrub found something") }
    page = try await self.page()
    #expect(page.value("repl_agent_volume_distrusted", ["volume": "db"]) == 1)
    #expect(page.samples("repl_agent_scrub_age_seconds").isEmpty, "the last scrub was not clean")
  }

  @Test("a held volume has its points by state, the age of the newest sealed one, and of the last clean scrub")
  func held() async throws {
    try hold([(.sealed, 900), (.sealed, 500), (.suspect, 100)])
    let page = try page()
    let labels = ["namespace": "shop", "volume": "db", "cluster": "west"]
    #expect(page.value("repl_agent_points", labels.merging(["state": "sealed"]) { $1 }) == 2)
    #expect(page.value("repl_agent_points", labels.merging(["state": "suspect"]) { $1 }) == 1)
    #expect(page.value("repl_agent_points", labels.merging(["state": "orphaned"]) { $1 }) == 0)
    #expect(isAbout(page.value("repl_agent_point_age_seconds", labels), 500))
    #expect(isAbout(page.value("repl_agent_scrub_age_seconds", labels.merging(["side": "target"]) { $1 }), 500))
    #expect(page.value("repl_agent_volume_info", labels.merging(["role": "target", "pool": "main"]) { $1 }) == 1)
  }

  @Test(
    "after a start the age is by the offset that the newest seal records, and that of the seal without one",
    arguments: [400, 0])
  func ageAfterStart(secondsAhead: Int64) throws {
    // By a clock that is 400 s ahead of ours it was taken 500 s ago.
    let seal = seal(.random(), 1, taken: 500)
    try hold(seal, sealed: ago(300))
    try write(seal, offset: -secondsAhead * 1_000_000_000)
    let again = try Self.open(configuration)
    let labels = ["namespace": "shop", "volume": "db", "cluster": "west"]
    let age = try page(of: again).value("repl_agent_point_age_seconds", labels)
    let report = try #require(try again.core.volumeReports().first)
    if secondsAhead == 0 {
      #expect(isAbout(age, 300))
      #expect(report.lagSeconds == nil && !report.lagReason.isEmpty)
    } else {
      #expect(isAbout(age, 900))
      #expect(isAbout(report.lagSeconds, 900) && report.lagReason.isEmpty)
    }
  }

  private func hold(_ seal: Seal, sealed: Timestamp) throws {
    try engine.database.write { database in
      try Replica(
        cluster: "west", volume: seal.volume, namespace: "shop", name: "db",
        authority: .following(lineage: seal.lineage, branch: branch), pool: "main", deletedAt: nil
      ).insert(database)
      try CatalogPoint(
        cluster: "west", seal: seal, pool: "main", sealedAt: sealed, provenAt: sealed, state: .sealed, confirmed: true,
        damaged: [], doubt: nil
      ).insert(database)
    }
  }

  /// The files of a point, as the pool has them.
  private func write(_ seal: Seal, offset: Int64) throws {
    let source = try SourceVolume(cluster: "west", volume: seal.volume)
    let paths = PoolLayout(pool: directory.path).point(source, seal.point)
    try FileManager.default.createDirectory(atPath: paths.directory, withIntermediateDirectories: true)
    try Data(count: Int(seal.size)).write(to: URL(fileURLWithPath: paths.image))
    let image = try LinuxStorage().open(paths.image, .read)
    let stamp = try image.stamp()
    try image.close()
    let record = BlockDiff.PointRecord(
      seal: seal, source: source, origin: .init(namespace: "shop", name: "db", clockOffset: offset),
      stamp: ImageStamp(stamp), sealedAt: seal.takenAt, provenAt: seal.takenAt, keyID: 1, planDigest: .zero)
    try Data(record.encoded).write(to: URL(fileURLWithPath: paths.seal))
  }

  @Test("a volume made anew under an old name does not show its figures twice")
  func sameName() async throws {
    try hold([(.orphaned, 9000)])
    try hold([(.sealed, 300)])
    let page = try page()
    #expect(page.value("repl_agent_points", ["volume": "db", "state": "orphaned"]) == 1)
    #expect(page.value("repl_agent_points", ["volume": "db", "state": "sealed"]) == 1)
    #expect(isAbout(page.value("repl_agent_point_age_seconds", ["volume": "db"]), 300))
  }

  @Test("a promoted volume is replicated no more: its points have no age to worry about")
  func promoted() async throws {
    try hold([(.sealed, 9000)], role: .promoted)
    let page = try page()
    #expect(page.samples("repl_agent_point_age_seconds").isEmpty)
    #expect(page.value("repl_agent_points", ["volume": "db", "state": "sealed"]) == 1)
  }

  @Test("pools, the limit and the build are there in an agent that has nothing else")
  func agent() async throws {
    let page = try page()
    let (size, free) = (
      page.value("repl_agent_pool_size_bytes", ["pool": "main"]),
      page.value("repl_agent_pool_free_bytes", ["pool": "main"])
    )
    #expect(try #require(size) >= #require(free))
    #expect(page.value("repl_agent_bandwidth_limit_bytes_per_second") == Double(1 << 20))
    #expect(page.value("repl_agent_build_info", ["cluster_id": "here", "node": "node"]) == 1)
    #expect(page.value("repl_agent_runs", ["state": "running"]) == 0)
    #expect(page.samples("repl_agent_volume_info").isEmpty)
  }

  @Test("an engine whose database is gone fails as a collector, not as a page")
  func broken() throws {
    _ = try page()
    try engine.database.write { try $0.execute(sql: "DROP TABLE snapshot") }
    #expect(throws: ReplError.self) { try page() }
  }
}
