import ReplModel
import TestSupport
import Testing

@testable import BlockDiff

/// What is durable before what, by the log of the disk's operations. Power cuts show some of it by chance; this is the
/// rule.
@Suite struct DurableOrderTests {
  private typealias Kind = StorageOperation.Kind

  /// The operations of a session upon a base, from opening its staging area to publishing.
  private struct Session {
    let log: [StorageOperation]
    let staging: PointPaths
    let point: PointPaths
    let layout: PoolLayout
    let source: SourceVolume

    init() throws {
      var fixture = try TargetFixture()
      let old = fixture.randomVolume(blocks: 20)
      let new = fixture.mutated(old, changes: 4)
      let base = try fixture.makePoint(old)
      let id = fixture.newID()
      fixture.disk.gate.startLog()
      let area = try fixture.open(fixture.identity(id, base: base.id, size: new.count))
      try fixture.ship(new, over: old, into: area)
      guard case .prepared = try area.seal(fixture.request(fixture.seal(id, of: new, base: base.id))) else {
        throw TargetFixture.Unexpected("does not match")
      }
      try fixture.store.publish(id, of: fixture.source)
      log = fixture.disk.gate.log
      (layout, source) = (fixture.pool.layout, fixture.source)
      staging = layout.staging(source)
      point = layout.point(source, id)
    }

    func first(_ kind: Kind, _ path: String) throws -> Int {
      try #require(log.firstIndex { $0.kind == kind && $0.path == path }, "\(kind) \(path)")
    }

    func last(_ kind: Kind, _ path: String) throws -> Int {
      try #require(log.lastIndex { $0.kind == kind && $0.path == path }, "\(kind) \(path)")
    }

    func contains(_ kind: Kind, _ path: String, after index: Int) -> Bool {
      log[(index + 1)...].contains { $0.kind == kind && $0.path == path }
    }
  }

  @Test func aHeaderVouchesForWhatIsSynced() throws {
    let session = try Session()
    let header = try session.first(.replace, session.staging.header)
    #expect(try session.first(.synchronize, session.staging.image) < header)
    #expect(try session.first(.synchronize, session.staging.ledger) < header)
    #expect(try session.first(.synchronize, session.staging.header + ".new") < header)
    let named = try session.first(.synchronizeDirectory, session.layout.staging)
    #expect(header < named)
    #expect(try named < session.first(.write, session.staging.image), "before a chunk is written")
  }

  @Test func aSealVouchesForWhatIsSynced() throws {
    let session = try Session()
    let seal = try session.first(.replace, session.staging.seal)
    #expect(try session.last(.write, session.staging.segments) < session.last(.synchronize, session.staging.segments))
    #expect(try session.last(.synchronize, session.staging.segments) < seal)
    // The stamp that the seal holds is that of the frozen image, and durable.
    let frozen = try session.last(.setImmutable, session.staging.image)
    let synced = try session.last(.synchronize, session.staging.image)
    let stamped = try session.last(.stamp, session.staging.image)
    #expect(frozen < synced)
    #expect(synced < stamped)
    #expect(stamped < seal)
    #expect(try session.first(.synchronize, session.staging.seal + ".new") < seal)
  }

  @Test func headerAndSealAreKnownToBeThereBeforeAnythingFollows() throws {
    let session = try Session()
    for path in [session.staging.header, session.staging.seal] {
      let named = try session.first(.replace, path)
      let next = session.log[(named + 1)...].first { $0.kind.isChange }
      #expect(next == StorageOperation(.synchronizeDirectory, session.staging.directory))
    }
  }

  @Test func aPointIsPublishedWhenItsNameIsDurable() throws {
    let session = try Session()
    let named = try session.first(.rename, session.point.directory)
    #expect(session.contains(.synchronizeDirectory, session.layout.points(of: session.source), after: named))
    #expect(session.contains(.synchronizeDirectory, session.layout.staging, after: named))
  }

  @Test func directoriesThatAreMadeAreDurableInTheirParents() throws {
    var fixture = try TargetFixture()
    fixture.disk.gate.startLog()
    _ = try fixture.makePoint(fixture.randomVolume(blocks: 3))
    let log = fixture.disk.gate.log
    let points = fixture.pool.layout.points(of: fixture.source)
    for made in [points, parentDirectory(of: points)] {
      let index = try #require(log.firstIndex { $0.kind == .makeDirectory && $0.path == made })
      let next = log[(index + 1)...].first { $0.kind.isChange }
      #expect(next == StorageOperation(.synchronizeDirectory, parentDirectory(of: made)))
    }
  }

  @Test func whatIsDiscardedIsGoneBeforeItsFilesAreRemoved() throws {
    var fixture = try TargetFixture()
    let point = try fixture.makePoint(fixture.randomVolume(blocks: 3))
    fixture.disk.gate.startLog()
    try fixture.store.delete(point.id, of: fixture.source)
    let log = fixture.disk.gate.log
    let renamed = try #require(log.firstIndex { $0.kind == .rename && $0.from == point.paths.directory })
    let removed = try #require(log.lastIndex { $0.kind == .removeTree })
    let synced = log[renamed..<removed].filter { $0.kind == .synchronizeDirectory }.map(\.path)
    #expect(synced == [parentDirectory(of: point.paths.directory), fixture.pool.layout.trash])
  }
}
