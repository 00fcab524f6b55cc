import Foundation
import ReplModel
import TestSupport
import Testing

@testable import BlockDiff

/// Who may write into a staging area, and until when.
@Suite struct StagingFenceTests {
  private let block = BytePattern.bytes(tag: 5, count: 4096)

  private func write(_ writer: StagingWriter, at offset: UInt64) throws {
    try block.withUnsafeBufferPointer { try writer.write(UnsafeRawBufferPointer($0), at: offset) }
  }

  @Test("a writer of before the fence writes nothing, one of after it does")
  func fence() throws {
    var fixture = try TargetFixture()
    let area = try fixture.open(fixture.identity(fixture.newID(), base: nil, size: 1 << 20))
    let old = area.makeWriter()
    try write(old, at: 0)
    try area.fence()
    #expect(errorKind { try write(old, at: 4096) } == .transient)
    #expect(errorKind { try old.writeZeros(Extent(offset: 0, length: 4096)) } == .transient)
    try write(area.makeWriter(), at: 8192)
    let image = try #require(fixture.disk.contents(area.paths.image))
    #expect(image.prefix(4096) == block[...])
    #expect(image[4096..<8192].allSatisfy { $0 == 0 })
    #expect(area.failure == nil)
  }

  @Test("a writer writes nothing into an area that was sealed, closed or opened again")
  func afterTheEnd() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 4)
    let identity = fixture.identity(fixture.newID(), base: nil, size: bytes.count)
    let first = try fixture.open(identity)
    let old = first.makeWriter()
    try first.close()
    let area = try fixture.open(identity)
    #expect(errorKind { try write(old, at: 0) } == .transient)
    try bytes.withUnsafeBufferPointer { try area.write(UnsafeRawBufferPointer($0), at: 0) }
    let writer = area.makeWriter()
    guard case .prepared = try area.seal(fixture.request(fixture.seal(identity.point, of: bytes, base: nil))) else {
      Issue.record("was not sealed")
      return
    }
    #expect(errorKind { try write(writer, at: 0) } == .transient)
    let point = try fixture.store.publish(identity.point, of: fixture.source)
    #expect(fixture.disk.contents(point.paths.image) == bytes)
  }

  @Test("after a mismatch new writers may write, those of before it may not")
  func mismatch() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 4)
    let identity = fixture.identity(fixture.newID(), base: nil, size: bytes.count)
    let area = try fixture.open(identity)
    let old = area.makeWriter()
    try write(old, at: 0)
    let request = fixture.request(fixture.seal(identity.point, of: bytes, base: nil))
    guard case .mismatch = try area.seal(request) else {
      Issue.record("other bytes were sealed")
      return
    }
    #expect(errorKind { try write(old, at: 0) } == .transient)
    let new = area.makeWriter()
    try bytes.withUnsafeBufferPointer { try new.write(UnsafeRawBufferPointer($0), at: 0) }
    guard case .prepared = try area.seal(request) else {
      Issue.record("was not sealed")
      return
    }
  }

  @Test("who shuts writers out waits for those inside")
  func drain() throws {
    let gate = WriterGate()
    let generation = gate.generation
    #expect(gate.enter(generation))
    #expect(!gate.shut(drainedWithin: .milliseconds(1)))
    #expect(!gate.enter(generation))
    #expect(!gate.enter(nil), "nobody enters while it is shut")
    gate.leave()
    #expect(gate.shut(drainedWithin: .zero))
    gate.open()
    #expect(!gate.enter(generation), "a writer of before never enters again")
    #expect(gate.enter(gate.generation))
    gate.leave()
  }

  @Test("a staging area has one owner: opening it again, for anything, waits for the first")
  func oneOwner() throws {
    var fixture = try TargetFixture()
    let identity = fixture.identity(fixture.newID(), base: nil, size: 1 << 20)
    let other = fixture.identity(fixture.newID(), base: nil, size: 1 << 20)
    let area = try fixture.open(identity)
    for again in [identity, other] { #expect(errorKind { _ = try fixture.open(again) } == .transient) }
    #expect(errorKind { try fixture.store.discardStaging(of: fixture.source) } == .transient)
    try TargetFixture.write([UInt8](repeating: 1, count: 4096), Extent(offset: 0, length: 4096), into: area)
    try area.recordProgress()
    try area.close()
    #expect(try fixture.open(identity).origin == .resumed)
  }

  @Test("an image that is open for writing is not made a point")
  func openForWriting() throws {
    var fixture = try TargetFixture()
    let area = try fixture.open(fixture.identity(fixture.newID(), base: nil, size: 1 << 20))
    try fixture.disk.open(area.paths.segments, .createNew).close()
    let finisher = PointFinisher(paths: area.paths, storage: fixture.disk)
    #expect(errorKind { _ = try finisher.freeze() } == .refused)
    try area.close()
    _ = try finisher.freeze()
  }

  @Test("the kernel's lock and lease say the same of real files")
  func realFiles() throws {
    let directory = FileManager.default.temporaryDirectory.path + "/fence-\(UUID().uuidString)"
    let storage = LinuxStorage()
    try storage.makeDirectory(directory)
    defer { try? storage.removeTree(directory) }
    let path = directory + "/image"
    let writer = try storage.open(path, .createNew)
    try writer.lockExclusively()
    let second = try storage.open(path, .readWrite)
    #expect(errorKind { try second.lockExclusively() } == .transient)
    let reader = try storage.open(path, .read)
    try writer.close()
    #expect(errorKind { try reader.requireNoWriter() } == .refused)
    try second.close()
    try reader.requireNoWriter()
    try reader.close()
  }

  @Test("a write that finds no room leaves the area whole: with room it goes on")
  func noRoom() throws {
    var fixture = try TargetFixture(capacity: 256 << 10)
    let area = try fixture.open(fixture.identity(fixture.newID(), base: nil, size: 1 << 20))
    let writer = area.makeWriter()
    var offset: UInt64 = 0
    let kind = errorKind {
      while offset < 1 << 20 {
        try write(writer, at: offset)
        offset += 4096
      }
    }
    #expect(kind == .noSpace)
    #expect(area.failure == nil)
    fixture.disk.capacity = 4 << 20
    try write(writer, at: offset)
    try area.recordProgress()
    let durable = try area.durableByteCount()
    #expect(durable == offset + 4096)
  }
}
