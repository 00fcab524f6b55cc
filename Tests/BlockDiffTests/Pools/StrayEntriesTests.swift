import Glibc
import ReplModel
import TestSupport
import Testing

@testable import BlockDiff

/// A pool is a directory on a disk that people can write to: what lies there and is none of the agent's is left alone, told
/// of, and keeps nothing from its service.
@Suite(.serialized) struct StrayEntriesTests {
  /// A point, its ready clone and a snapshot in a pool on a real file system.
  private func withPoint(_ body: (inout TargetFixture, RecoveryPoint, [UInt8]) throws -> Void) throws {
    let disk = try LoopFileSystem(.xfs)
    defer { disk.close() }
    var fixture = try TargetFixture(realPool: disk.path)
    let bytes = fixture.randomVolume(blocks: 9)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: nil, size: bytes.count))
    try fixture.ship(bytes, into: area)
    _ = try area.seal(fixture.request(fixture.seal(id, of: bytes, base: nil)))
    let point = try fixture.store.publish(id, of: fixture.source)
    try fixture.store.prepareReadyClone(of: point)
    try body(&fixture, point, bytes)
    fixture.pool.close()
  }

  private func directories(below root: String) throws -> [String] {
    try LoopFileSystem.run(["find", root, "-type", "d"]).split(separator: "\n").map(String.init)
  }

  /// Plants something of a random kind under a random name. Returns its path, nil where it cannot be planted.
  private func plant(in directory: String, _ random: inout SeededGenerator) throws -> String? {
    let id = PointID.random(using: &random)
    let names = [
      "junk", ".hidden", "\(id)", "east~\(id)", "east~\(id)~\(id)", "east", "x.new", "probe", "clone.img", "a b\n",
      "image",
      "seal", "\(id).key", "lost+found", "superblock.new", "promotion",
    ]
    let path = directory + "/" + names[random.below(names.count)]
    guard try !LinuxStorage().exists(path) else { return nil }
    switch random.below(6) {
    case 0: return mkfifo(path, 0o600) == 0 ? path : nil
    case 1: return symlink("/nowhere", path) == 0 ? path : nil
    case 2: return symlink(directory, path) == 0 ? path : nil
    case 3:
      guard mkdir(path, 0o700) == 0 else { return nil }
      return mkdir(path + "/deeper", 0) == 0 ? path : nil
    default:
      guard let file = try? LinuxStorage().openFile(path, .createNew) else { return nil }
      try file.writeArray((0..<random.below(9000)).map { _ in UInt8.random(in: 0...255, using: &random) }, at: 0)
      try file.close()
      return path
    }
  }

  @Test(.requiresLoopDevices, arguments: 0..<6 as Range<UInt64>)
  func randomJunkKeepsNoPointFromBeingFound(seed: UInt64) throws {
    try withPoint { fixture, point, bytes in
      var random = SeededGenerator(seed: seed)
      let layout = fixture.pool.layout
      fixture.pool.close()
      let places = try directories(below: layout.root)
      for _ in 0..<40 { _ = try plant(in: places[random.below(places.count)], &random) }

      let pool = try Pool.open(
        layout.pool, owner: PoolOwner(cluster: "west", node: "w1"), known: .init(id: fixture.pool.id),
        storage: LinuxStorage())
      defer { pool.close() }
      _ = try pool.points.preparedPoints()
      let report = try pool.sweep(
        keeping: PoolContents(points: [fixture.source: [point.id]], staging: [fixture.source]))
      #expect(report.missing.isEmpty)
      var skipped: [SkippedEntry] = []
      let sources = try pool.points.sources(&skipped)
      #expect(sources.contains(fixture.source))
      #expect(try pool.points.points(of: fixture.source).sealed.map(\.id) == [point.id])
      let image = try LinuxStorage().openFile(point.paths.image, .read)
      #expect(try image.readArray(bytes.count, at: 0) == bytes)
      #expect(!pool.strays().isEmpty)
    }
  }

  @Test(.requiresLoopDevices) func aCloneAmongTheAgentsFilesIsNeitherDeletedNorInTheWay() throws {
    try withPoint { fixture, point, _ in
      let layout = fixture.pool.layout
      let clones = [
        layout.root, layout.points, layout.points + "/east", layout.staging, layout.ready, layout.repair,
        layout.snapshots,
        layout.points(of: fixture.source), point.paths.directory,
      ].map { $0 + "/clone.img" }
      for path in clones { try fixture.store.clone(point, to: path) }
      let report = try fixture.pool.sweep(keeping: PoolContents(points: [fixture.source: [point.id]]))
      #expect(report.missing.isEmpty && report.skipped.isEmpty)
      #expect(try clones.allSatisfy { try LinuxStorage().exists($0) }, "what a person has put there stays")
      #expect(Set(fixture.pool.strays().map(\.path)) == Set(clones))
    }
  }

  @Test func aPoolAsTheAgentLeftItHasNoStrays() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 5)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: nil, size: bytes.count))
    try fixture.ship(bytes, into: area)
    #expect(fixture.pool.strays().isEmpty, "staging is under way")
    _ = try area.seal(fixture.request(fixture.seal(id, of: bytes, base: nil)))
    #expect(fixture.pool.strays().isEmpty)
    let point = try fixture.store.publish(id, of: fixture.source)
    try fixture.store.prepareReadyClone(of: point)
    try fixture.store.keys(of: fixture.source).store(fixture.key, of: fixture.lineage)
    #expect(fixture.pool.strays().isEmpty)
  }
}
