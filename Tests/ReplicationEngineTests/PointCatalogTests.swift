import BlockDiff
import Logging
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// What an agent answers when a name has stood for several volumes.
@Suite("Recovery points of a name") struct PointCatalogTests {
  private let directory: TemporaryDirectory
  private let engine: ReplicationEngine
  private let branch = Branch(epoch: 1, id: .random())

  init() throws {
    directory = try TemporaryDirectory()
    var configuration = EngineConfiguration(
      clusterID: "here", node: "node", stateDirectory: directory.path + "/state",
      pools: [PoolConfiguration(name: "main", path: directory.path)], allowedPaths: [])
    configuration.listenAddress = "127.0.0.1"
    (configuration.controlPort, configuration.dataPort) = (0, 0)
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    engine = try ReplicationEngine.open(configuration, logger: logger, clock: SystemClock())
  }

  private func seal(
    _ volume: VolumeID, takenAt seconds: Int64, generation: UInt64 = 1, consistency: Consistency = .volume
  ) -> Seal {
    Seal(
      point: .random(), volume: volume, lineage: .random(), branch: branch, base: nil, generation: generation,
      size: 4_096, fingerprint: Fingerprint(low: 1, high: 2), nonZeroBlocks: 1,
      takenAt: Timestamp(nanoseconds: seconds * 1_000_000_000), consistency: consistency, proof: .full,
      group: .random(),
      members: [])
  }

  /// A volume `shop/db` that is held for a peer, with a point.
  private func hold(_ cluster: String, takenAt seconds: Int64) throws -> Seal {
    let seal = seal(.random(), takenAt: seconds)
    let volume = Replica(
      cluster: cluster, volume: seal.volume, namespace: "shop", name: "db",
      authority: .following(lineage: seal.lineage, branch: branch), pool: "main", deletedAt: nil)
    let point = CatalogPoint(
      cluster: cluster, seal: seal, pool: "main", sealedAt: seal.takenAt, provenAt: nil, state: .suspect,
      confirmed: true, damaged: [], doubt: nil)
    try engine.database.write {
      try volume.insert($0)
      try point.insert($0)
    }
    return seal
  }

  /// One more point of a volume that is held.
  private func add(
    _ state: PointState, generation: UInt64, to first: Seal, consistency: Consistency = .volume
  ) throws -> Seal {
    let seal = seal(
      first.volume, takenAt: Int64(generation) * 10_000, generation: generation, consistency: consistency)
    let point = CatalogPoint(
      cluster: "west", seal: seal, pool: "main", sealedAt: seal.takenAt, provenAt: nil, state: state, confirmed: true,
      damaged: [], doubt: nil)
    try engine.database.write { try point.insert($0) }
    return seal
  }

  /// A volume `shop/db` of this agent, with a twin.
  private func own(takenAt seconds: Int64, state: SnapshotRecord.State = .sealed) throws -> Seal {
    let seal = seal(.random(), takenAt: seconds)
    let volume = VolumeRecord(
      replica: Replica(
        cluster: "here", volume: seal.volume, namespace: "shop", name: "db",
        authority: Authority(lineage: seal.lineage, branch: branch, role: .source), pool: "main"),
      path: directory.path + "/db", isDevice: false, size: 4_096, allowFuzzy: false, nextGeneration: 2,
      distrustReason: nil, fullReason: nil)
    let twin = SnapshotRecord(
      point: seal.point, volume: seal.volume, peer: "west", generation: 1, size: 4_096, takenAt: seal.takenAt,
      consistency: .volume, stallNanoseconds: 0, directory: directory.path, hasImage: false, state: state, seal: seal)
    try engine.database.write {
      try volume.insert($0)
      try twin.insert($0)
    }
    return seal
  }

  @Test("each point names the volume and the source that it is of, and a volume its source has no more comes last")
  func identities() async throws {
    defer { engine.stop() }
    let old = try hold("west", takenAt: 5_000)
    try engine.database.write {
      try Replica.orphan($0, cluster: "west", volume: old.volume, at: old.takenAt)
    }
    let again = try hold("west", takenAt: 3_000)
    let other = try hold("east", takenAt: 2_000)
    let own = try own(takenAt: 4_000)
    let reports = try await engine.recoveryPoints(namespace: "shop", name: "db")
    #expect(reports.map(\.id) == [again, other, old, own].map(\.point.description))
    #expect(reports.map(\.volumeID) == [again, other, old, own].map(\.volume.description))
    #expect(reports.map(\.sourceCluster) == ["west", "east", "west", ""])
  }

  @Test("what is cloned by default is the newest sealed point, never a suspect, orphaned or fuzzy one")
  func defaultPoint() throws {
    defer { engine.stop() }
    let first = try hold("west", takenAt: 1_000)
    let catalog = PointCatalog(core: engine.core)
    let none = #expect(throws: ReplError.self) {
      try catalog.defaultPoint(catalog.points("shop", "db"), "shop", "db")
    }
    #expect(none?.kind == .refused && none?.remedy?.contains("--point") == true)
    let sealed = try add(.sealed, generation: 2, to: first)
    _ = try add(.sealed, generation: 3, to: first, consistency: .fuzzy)
    let suspect = try add(.suspect, generation: 4, to: first)
    _ = try add(.orphaned, generation: 5, to: first)
    #expect(try catalog.defaultPoint(catalog.points("shop", "db"), "shop", "db")?.point == sealed.point)
    // Verified is the newest, good or not. By the seals alone: there are no files.
    #expect(try catalog.verify("shop", "db", nil, quick: true).point == suspect.point.description)
    #expect(try catalog.verify("shop", "db", first.point, quick: true).point == first.point.description)
  }

  @Test("of volumes of one name that two clusters have, none is chosen by default")
  func twoClusters() throws {
    defer { engine.stop() }
    let west = try hold("west", takenAt: 1_000)
    _ = try hold("east", takenAt: 2_000)
    let catalog = PointCatalog(core: engine.core)
    for quick in [true, false] {
      let error = #expect(throws: ReplError.self) { try catalog.verify("shop", "db", nil, quick: quick) }
      #expect(error?.kind == .refused && error?.cause.contains("east and west") == true)
    }
    #expect(throws: ReplError.self) { try catalog.clone("shop", "db", nil, to: directory.path + "/clone") }
    #expect(try catalog.verify("shop", "db", west.point, quick: true).point == west.point.description)
  }

  @Test("a snapshot that was never sealed is no point", arguments: [SnapshotRecord.State.taken, .inDoubt])
  func unsealed(state: SnapshotRecord.State) async throws {
    defer { engine.stop() }
    let twin = try own(takenAt: 4_000, state: state)
    #expect(try await engine.recoveryPoints(namespace: "shop", name: "db").isEmpty)
    let error = #expect(throws: ReplError.self) {
      try PointCatalog(core: engine.core).clone("shop", "db", twin.point, to: directory.path + "/clone")
    }
    #expect(error?.kind == .notFound)
  }

  @Test("a clone never replaces a file")
  func cloneKeepsFiles() throws {
    defer { engine.stop() }
    _ = try own(takenAt: 4_000)
    let path = directory.path + "/precious"
    let file = try LinuxStorage().open(path, .createNew)
    try [UInt8](repeating: 7, count: 9).withUnsafeBytes { try file.write($0, at: 0) }
    try file.close()
    let error = #expect(throws: ReplError.self) {
      try PointCatalog(core: engine.core).clone("shop", "db", nil, to: path)
    }
    #expect(error?.kind == .exists)
    #expect(try LinuxStorage().readFile(path, limit: 100) == [UInt8](repeating: 7, count: 9))
  }
}
