import ReplModel
import TestSupport
import Testing

@testable import BlockDiff

/// Images share blocks: what becomes of damage in one of them in those that were cloned from it, before and after it was
/// seen.
@Suite struct SharedDamageTests {
  /// Rot in segment 1 of a point, and the point repaired.
  private static func repair(_ fixture: TargetFixture, _ point: RecoveryPoint, _ bytes: [UInt8]) throws -> RecoveryPoint
  {
    let area = try RepairArea(of: point, in: fixture.store)
    try Array(bytes[1 << 20..<2 << 20]).withUnsafeBufferPointer {
      try area.write(UnsafeRawBufferPointer($0), at: 1 << 20)
    }
    #expect(try area.finish(key: fixture.key, now: Timestamp(nanoseconds: 9000)) == nil)
    return try fixture.store.point(point.id, of: fixture.source)
  }

  private static func bytes() -> [UInt8] { BytePattern.bytes(tag: 3, count: 3 << 20) }

  @Test("a ready clone of a point that was repaired since is neither staging nor a live file")
  func readyClone() throws {
    var fixture = try TargetFixture()
    let bytes = Self.bytes()
    let point = try fixture.makePoint(bytes)
    try fixture.store.prepareReadyClone(of: point)
    fixture.disk.corrupt(point.paths.image, at: (1 << 20) + 5000)
    let repaired = try Self.repair(fixture, point, bytes)
    #expect(try !fixture.store.takeReadyImage(of: repaired, to: "/pool/live.img"))
    let next = fixture.newID()
    let area = try fixture.open(fixture.identity(next, base: point.id, size: bytes.count))
    #expect(area.origin == .clone)
    #expect(fixture.disk.contents(area.paths.image) == bytes)
    try area.discard()
    // One that is made now is of the repaired image.
    try fixture.store.prepareReadyClone(of: repaired)
    #expect(try fixture.open(fixture.identity(next, base: point.id, size: bytes.count)).origin == .readyClone)
  }

  @Test("staging of a base that was repaired since is not resumed")
  func staging() throws {
    var fixture = try TargetFixture()
    let bytes = Self.bytes()
    let point = try fixture.makePoint(bytes)
    let identity = fixture.identity(fixture.newID(), base: point.id, size: bytes.count)
    var area = try fixture.open(identity)
    try TargetFixture.write(bytes, Extent(offset: 0, length: 4096), into: area)
    try area.recordProgress()
    try area.close()
    area = try fixture.open(identity)
    #expect(area.origin == .resumed, "as long as the base is the same image")
    try area.close()
    fixture.disk.corrupt(point.paths.image, at: (1 << 20) + 5000)
    _ = try Self.repair(fixture, point, bytes)
    area = try fixture.open(identity)
    #expect(area.origin == .clone)
    #expect(fixture.disk.contents(area.paths.image) == bytes)
  }

  @Test("staging that is open while its base is repaired is not sealed")
  func openStaging() throws {
    var fixture = try TargetFixture()
    let bytes = Self.bytes()
    let point = try fixture.makePoint(bytes)
    let next = fixture.newID()
    let area = try fixture.open(fixture.identity(next, base: point.id, size: bytes.count))
    fixture.disk.corrupt(point.paths.image, at: (1 << 20) + 5000)
    _ = try Self.repair(fixture, point, bytes)
    let seal = fixture.seal(next, of: bytes, base: point.id, generation: 2)
    #expect(errorKind { _ = try area.seal(fixture.request(seal)) } == .transient)
    #expect(try fixture.store.preparedPoint(of: fixture.source) == nil)
  }

  @Test("what is prepared tells whether its base is still the image it was cloned from")
  func prepared() throws {
    var fixture = try TargetFixture()
    let bytes = Self.bytes()
    let point = try fixture.makePoint(bytes)
    let next = fixture.newID()
    let area = try fixture.open(fixture.identity(next, base: point.id, size: bytes.count))
    _ = try area.seal(fixture.request(fixture.seal(next, of: bytes, base: point.id, generation: 2)))
    #expect(try fixture.store.isBaseUnchanged(ofPrepared: fixture.source))
    fixture.disk.corrupt(point.paths.image, at: (1 << 20) + 5000)
    _ = try Self.repair(fixture, point, bytes)
    #expect(try !fixture.store.isBaseUnchanged(ofPrepared: fixture.source))
  }

  @Test("reading some segments says which differ from the table, and a segment that cannot be read does")
  func segments() throws {
    var fixture = try TargetFixture()
    let bytes = Self.bytes()
    let point = try fixture.makePoint(bytes)
    fixture.disk.corrupt(point.paths.image, at: (1 << 20) + 5000)
    let all = SegmentSet(allOf: UInt64(bytes.count))
    #expect(try fixture.store.read(all, of: point, key: fixture.key).different == SegmentSet([1]))
    #expect(try fixture.store.read(SegmentSet([0, 2]), of: point, key: fixture.key).different.isEmpty)
    let image = point.paths.image
    fixture.disk.gate.fail(with: ReplError(.io, subject: image, cause: "input/output error"), once: false) {
      $0.kind == .read && $0.path == image && ($0.extent?.offset ?? 0) >= 2 << 20
    }
    let reading = try fixture.store.read(all, of: point, key: fixture.key)
    #expect(reading.different == SegmentSet([1, 2]))
    #expect(reading.unreadable?.subject == image)
  }

  @Test("a base that cannot be read is told as such, with the place, and not as an error of the staging area")
  func unreadableBase() throws {
    var fixture = try TargetFixture()
    let bytes = Self.bytes()
    let point = try fixture.makePoint(bytes)
    let next = fixture.newID()
    var changed = bytes
    changed[2 << 20] ^= 1
    let area = try fixture.open(fixture.identity(next, base: point.id, size: bytes.count))
    try fixture.ship(changed, over: bytes, into: area)
    let image = point.paths.image
    fixture.disk.gate.fail(with: ReplError(.io, subject: image, cause: "input/output error"), once: false) {
      $0.kind == .read && $0.path == image
    }
    let seal = fixture.seal(next, of: changed, base: point.id, generation: 2)
    #expect(errorKind { _ = try area.seal(fixture.request(seal)) } == .io)
    #expect(area.baseWitness.failure?.extent == Extent(offset: 2 << 20, length: 4096))
  }

  @Test(
    "rot of a block below a real file system is found in each image that shares it, and only there",
    .requiresLoopDevices, arguments: [LoopFileSystem.Kind.xfs, .btrfs])
  func realRot(kind: LoopFileSystem.Kind) throws {
    let fileSystem = try LoopFileSystem(kind)
    defer { fileSystem.close() }
    var fixture = try TargetFixture(seed: 5, realPool: fileSystem.path)
    let bytes = BytePattern.random(count: 3 << 20, using: &fixture.generator)
    let first = try fixture.makePoint(bytes)
    try fixture.store.prepareReadyClone(of: first)
    var next = bytes
    next.replaceSubrange(2 << 20..<(2 << 20) + 4096, with: BytePattern.random(count: 4096, using: &fixture.generator))
    let second = try fixture.makePoint(next, base: (first.id, bytes), generation: 2)
    try fixture.store.prepareReadyClone(of: second)
    let all = SegmentSet(allOf: 3 << 20)
    for point in [first, second] {
      #expect(try fixture.store.read(all, of: point, key: fixture.key).different.isEmpty)
    }
    // Shared by all, and the new block of the second point alone.
    #expect(try fileSystem.rot(Array(bytes[(1 << 20) + 8192..<(1 << 20) + 12_288])) == 1)
    #expect(try fileSystem.rot(Array(next[2 << 20..<(2 << 20) + 4096])) == 1)
    #expect(try fixture.store.read(all, of: first, key: fixture.key).different == SegmentSet([1]))
    #expect(try fixture.store.read(all, of: second, key: fixture.key).different == SegmentSet([1, 2]))
    let repaired = try Self.repair(fixture, first, bytes)
    #expect(try fixture.store.verify(repaired, key: fixture.key).matchesSeal)
    #expect(try fixture.store.read(all, of: second, key: fixture.key).different == SegmentSet([1, 2]))
    let area = try fixture.open(fixture.identity(fixture.newID(), base: repaired.id, size: bytes.count))
    #expect(area.origin == .clone)
    #expect(errorKind { _ = try fixture.open(area.identity) } == .transient, "one owner, in the kernel too")
    try area.discard()
  }
}
