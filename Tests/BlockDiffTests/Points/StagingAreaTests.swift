import Foundation
import ReplModel
import Synchronization
import TestSupport
import Testing

@testable import BlockDiff

@Suite struct StagingAreaTests {
  private let block = BytePattern.bytes(tag: 5, count: 4096)

  private func write(_ area: StagingArea, at offset: UInt64, _ bytes: [UInt8]? = nil) throws {
    try (bytes ?? block).withUnsafeBufferPointer { try area.write(UnsafeRawBufferPointer($0), at: offset) }
  }

  @Test func theLedgerIsWrittenAfterTheImageIsSynced() throws {
    var fixture = try TargetFixture()
    let area = try fixture.open(fixture.identity(fixture.newID(), base: nil, size: 1 << 20))
    try write(area, at: 8192)
    fixture.disk.gate.startLog()
    try area.recordProgress()
    let steps = fixture.disk.gate.log.filter(\.kind.isChange).map {
      "\($0.kind.rawValue) \($0.path.split(separator: "/").last ?? "")"
    }
    #expect(steps == ["synchronizeData image", "write ledger", "synchronizeData ledger"])
  }

  @Test func nothingWrittenMeansNothingSynced() throws {
    var fixture = try TargetFixture()
    let area = try fixture.open(fixture.identity(fixture.newID(), base: nil, size: 1 << 20))
    fixture.disk.gate.startLog()
    try area.recordProgress()
    #expect(fixture.disk.gate.log.isEmpty)
  }

  @Test func progressIsRecordedAtHalfOfTheBound() throws {
    var fixture = try TargetFixture()
    let area = try fixture.open(fixture.identity(fixture.newID(), base: nil, size: 1 << 30))
    let chunk = [UInt8](repeating: 1, count: 1 << 20)
    for index in 0..<UInt64(31) { try write(area, at: index << 20, chunk) }
    #expect(area.unrecordedBytes == 31 << 20)
    let before = try area.durableByteCount()
    try write(area, at: 31 << 20, chunk)
    #expect(area.unrecordedBytes == 0)
    let after = try area.durableByteCount()
    #expect(before == 0 && after == 32 << 20)
  }

  @Test("while a sync runs, writers add what is left of the bound and then wait; who resumes is not held up")
  func boundDuringASync() throws {
    var fixture = try TargetFixture()
    let sync = FirstSync()
    let storage = RecordingStorage(fixture.disk) { path in if path.hasSuffix("/image") { sync.begin() } }
    let area = try StagingArea.open(
      fixture.identity(fixture.newID(), base: nil, size: 1 << 30), for: fixture.source,
      in: PointStore(layout: fixture.store.layout, storage: storage), clock: fixture.clock.clock)
    let chunk = [UInt8](repeating: 1, count: 1 << 20)
    let (written, ended) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    sync.onBegin {
      Thread.detachNewThread {
        for index in 32..<UInt64(72) {
          try? chunk.withUnsafeBufferPointer { try area.write(UnsafeRawBufferPointer($0), at: index << 20) }
          written.signal()
        }
        ended.signal()
      }
      #expect((0..<32).allSatisfy { _ in written.wait(timeout: .now() + .seconds(20)) == .success })
      #expect(area.unrecordedBytes == StagingArea.unrecordedLimit)
      #expect(written.wait(timeout: .now() + .milliseconds(300)) == .timedOut, "the next one waits for the sync")
      #expect((try? area.durableByteCount()) == 0)
    }
    for index in 0..<UInt64(32) { try write(area, at: index << 20, chunk) }
    try #require(ended.wait(timeout: .now() + .seconds(20)) == .success)
    #expect(area.unrecordedBytes <= StagingArea.unrecordedLimit)
    try area.recordProgress()
    #expect(try area.durableByteCount() == 72 << 20)
  }

  @Test func progressIsRecordedAfterOneSecond() throws {
    var fixture = try TargetFixture()
    let area = try fixture.open(fixture.identity(fixture.newID(), base: nil, size: 1 << 30))
    try write(area, at: 0)
    fixture.clock.advance(nanoseconds: 999_999_999)
    try area.recordProgressIfDue()
    #expect(area.unrecordedBytes == 4096)
    fixture.clock.advance(nanoseconds: 1)
    try area.recordProgressIfDue()
    #expect(area.unrecordedBytes == 0)
    try write(area, at: 8192)
    fixture.clock.advance(nanoseconds: 2_000_000_000)
    try write(area, at: 16384)
    #expect(area.unrecordedBytes == 0)
    let durable = try collect(area.durableExtents())
    #expect(durable == [0, 8192, 16384].map { Extent(offset: $0, length: 4096) })
  }

  @Test func zerosAreHoles() throws {
    var fixture = try TargetFixture()
    let area = try fixture.open(fixture.identity(fixture.newID(), base: nil, size: 1 << 40))
    try write(area, at: 0)
    try area.writeZeros(Extent(offset: 0, length: 1 << 40))
    try area.recordProgress()
    let map = try fixture.disk.open(area.paths.image, .read).extentMap(from: 0, limit: 10, sync: true)
    #expect(map.isEmpty)
    let durable = try collect(area.durableExtents())
    #expect(durable == [Extent(offset: 0, length: 1 << 40)])
  }

  @Test(arguments: [
    Extent(offset: 10_000, length: 1), Extent(offset: 9_999, length: 2), Extent(offset: .max, length: 2),
    Extent(offset: 0, length: 10_001), Extent(offset: 20_000, length: .max - 20_000),
  ])
  func nothingIsWrittenBeyondTheVolume(extent: Extent) throws {
    var fixture = try TargetFixture()
    let area = try fixture.open(fixture.identity(fixture.newID(), base: nil, size: 10_000))
    #expect(errorKind { try area.writeZeros(extent) } == .invalid)
    if extent.length <= 20_000 {
      #expect(
        errorKind { try write(area, at: extent.offset, Array(repeating: 1, count: Int(extent.length))) } == .invalid)
    }
    // The peer's mistake does not cost the area.
    try write(area, at: 0)
    #expect(area.failure == nil)
  }

  @Test func aSessionResumesWithWhatIsDurable() throws {
    var fixture = try TargetFixture()
    let identity = fixture.identity(fixture.newID(), base: nil, size: 1 << 20)
    let area = try fixture.open(identity)
    try write(area, at: 0)
    try area.recordProgress()
    try write(area, at: 40960)
    try area.close()
    let again = try fixture.open(identity)
    #expect(again.origin == .resumed)
    let durable = try collect(again.durableExtents())
    #expect(durable == [Extent(offset: 0, length: 4096)])
    #expect(fixture.disk.contents(again.paths.image)?.prefix(4096) == block[...])
  }

  @Test func aSessionResumesForExactlyTheSameSnapshotOnly() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 8)
    let base = try fixture.makePoint(bytes)
    let other = try fixture.makePoint(bytes, generation: 2)
    let point = fixture.newID()
    let identity = fixture.identity(point, base: base.id, size: bytes.count)
    let variants = [
      fixture.identity(fixture.newID(), base: base.id, size: bytes.count),
      fixture.identity(point, base: other.id, size: bytes.count),
      fixture.identity(point, base: nil, size: bytes.count),
      fixture.identity(point, base: base.id, size: bytes.count + 4096),
      fixture.identity(point, base: base.id, size: bytes.count, plan: 1),
      fixture.identity(point, base: base.id, size: bytes.count, kind: .comparison),
    ]
    for variant in variants {
      let area = try fixture.open(identity)
      try write(area, at: 0)
      try area.recordProgress()
      try area.close()
      let fresh = try fixture.open(variant)
      #expect(fresh.origin != .resumed)
      let durable = try collect(fresh.durableExtents())
      #expect(durable.isEmpty)
      let image = try #require(fixture.disk.contents(fresh.paths.image))
      let start = variant.base == nil ? [UInt8](repeating: 0, count: bytes.count) : bytes
      #expect(image.prefix(bytes.count) == start[...])
      #expect(image.count == Int(variant.size))
      try fresh.discard()
    }
  }

  @Test func theReadyCloneIsTakenIfItIsOfThatBase() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 8)
    let base = try fixture.makePoint(bytes)
    let newer = try fixture.makePoint(bytes, base: (base.id, bytes), generation: 2)
    try fixture.store.prepareReadyClone(of: newer)
    var area = try fixture.open(fixture.identity(fixture.newID(), base: base.id, size: bytes.count))
    #expect(area.origin == .clone)
    try area.discard()
    area = try fixture.open(fixture.identity(fixture.newID(), base: newer.id, size: bytes.count + 100))
    #expect(area.origin == .readyClone)
    #expect(fixture.disk.contents(area.paths.image) == bytes + [UInt8](repeating: 0, count: 100))
    let ready = try fixture.store.readyClone(for: fixture.source)
    #expect(ready == nil)
  }

  @Test(arguments: [StorageOperation.Kind.write, .punchHole, .synchronizeData])
  func anErrorDiscardsTheAreaAndNothingIsSyncedAgain(kind: StorageOperation.Kind) throws {
    var fixture = try TargetFixture()
    let identity = fixture.identity(fixture.newID(), base: nil, size: 1 << 20)
    let area = try fixture.open(identity)
    try write(area, at: 0)
    try area.recordProgress()
    fixture.disk.gate.fail(with: ReplError(.io, subject: "image", cause: "input/output error")) { operation in
      operation.kind == kind && operation.path.hasSuffix("/image")
    }
    fixture.disk.gate.startLog()
    #expect(
      errorKind {
        try write(area, at: 8192)
        try area.writeZeros(Extent(offset: 12288, length: 4096))
        try area.recordProgress()
      } == .io)
    #expect(errorKind { try write(area, at: 0) } == .io)
    #expect(errorKind { try area.recordProgress() } == .io)
    #expect(area.failure?.kind == .io)
    let syncs = fixture.disk.gate.log.filter { $0.path.hasSuffix("/image") && $0.kind == .synchronizeData }
    #expect(syncs.count == (kind == .synchronizeData ? 1 : 0))
    let records = fixture.disk.gate.log.filter { $0.path.hasSuffix("/ledger") && $0.kind == .write }
    #expect(records.isEmpty)
    let again = try fixture.open(identity)
    #expect(again.origin == .empty)
    let durable = try collect(again.durableExtents())
    #expect(durable.isEmpty)
  }

  @Test func anErrorOfTheLedgerDiscardsTheAreaToo() throws {
    for kind in [StorageOperation.Kind.write, .synchronizeData] {
      var fixture = try TargetFixture()
      let area = try fixture.open(fixture.identity(fixture.newID(), base: nil, size: 1 << 20))
      try write(area, at: 0)
      fixture.disk.gate.fail(with: ReplError(.io, subject: "ledger", cause: "input/output error")) { operation in
        operation.kind == kind && operation.path.hasSuffix("/ledger")
      }
      #expect(errorKind { try area.recordProgress() } == .io)
      #expect(errorKind { try area.recordProgress() } == .io)
      let left = try fixture.disk.list(fixture.pool.layout.staging)
      #expect(left.isEmpty)
    }
  }

  @Test func aFullDiskIsSaidAsSuchAndItsRoomIsGivenBackWithTheArea() throws {
    var fixture = try TargetFixture(capacity: 256 << 10)
    let area = try fixture.open(fixture.identity(fixture.newID(), base: nil, size: 1 << 20))
    #expect(errorKind { for index in 0..<UInt64(200) { try write(area, at: index * 4096) } } == .noSpace)
    try area.discard()
    let space = try fixture.disk.space(at: "/pool")
    #expect(space.available >= 240 << 10)
    let smaller = try fixture.open(fixture.identity(fixture.newID(), base: nil, size: 1 << 20))
    try write(smaller, at: 0)
    try smaller.recordProgress()
  }

  @Test func wantOfRoomForARecordIsMadeUpForLater() throws {
    var fixture = try TargetFixture()
    let identity = fixture.identity(fixture.newID(), base: nil, size: 1 << 20)
    let area = try fixture.open(identity)
    try write(area, at: 4096)
    fixture.disk.gate.fail(with: ReplError(.noSpace, subject: "disk", cause: "is full")) {
      $0.kind == .write && $0.path.hasSuffix("/ledger")
    }
    #expect(errorKind { try area.recordProgress() } == .noSpace)
    try write(area, at: 65_536)
    try area.recordProgress()
    #expect(try collect(area.durableExtents()).map(\.offset) == [4096, 65_536])
  }

  @Test func aLedgerThatCannotBeSyncedForWantOfRoomIsNotSyncedAgain() throws {
    var fixture = try TargetFixture()
    let area = try fixture.open(fixture.identity(fixture.newID(), base: nil, size: 1 << 20))
    try write(area, at: 4096)
    fixture.disk.gate.fail(with: ReplError(.noSpace, subject: "disk", cause: "is full")) {
      $0.kind == .synchronizeData && $0.path.hasSuffix("/ledger")
    }
    #expect(errorKind { try area.recordProgress() } == .noSpace)
    fixture.disk.gate.startLog()
    #expect(errorKind { try area.recordProgress() } != nil)
    #expect(!fixture.disk.gate.log.contains { $0.kind == .synchronizeData && $0.path.hasSuffix("/ledger") })
  }

  @Test func manyThreadsWriteAtOnceAndAllOfItIsRecorded() async throws {
    var fixture = try TargetFixture()
    let area = try fixture.open(fixture.identity(fixture.newID(), base: nil, size: 64 << 20))
    let block = block
    try await withThrowingTaskGroup(of: Void.self) { group in
      for worker in 0..<UInt64(8) {
        group.addTask {
          for index in 0..<UInt64(100) {
            try block.withUnsafeBufferPointer {
              try area.write(UnsafeRawBufferPointer($0), at: (index * 8 + worker) * 4096)
            }
            if index % 10 == worker { try area.recordProgress() }
          }
        }
      }
      try await group.waitForAll()
    }
    try area.recordProgress()
    let durable = try collect(area.durableExtents())
    #expect(durable == [Extent(offset: 0, length: 800 * 4096)])
  }
}

/// Something that happens during the first sync, on the thread that syncs.
private final class FirstSync: Sendable {
  private let action = Mutex<(@Sendable () -> Void)?>(nil)

  func onBegin(_ body: @escaping @Sendable () -> Void) { action.withLock { $0 = body } }

  func begin() {
    let body = action.withLock { action in
      defer { action = nil }
      return action
    }
    body?()
  }
}
