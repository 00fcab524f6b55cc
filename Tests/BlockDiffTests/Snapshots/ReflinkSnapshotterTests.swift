import BlockDiff
import ReplModel
import Synchronization
import TestSupport
import Testing

/// Notes that it was called.
private final class NotingFlusher: VolumeFlusher {
  let gate: OperationGate
  let logLength = Atomic<Int>(-1)
  init(_ gate: OperationGate) { self.gate = gate }
  func flush(_ live: any StorageFile) throws(ReplError) { logLength.store(gate.log.count, ordering: .releasing) }
}

@Suite(.requiresLoopDevices, .serialized) struct ReflinkSnapshotterTests {
  private let storage = LinuxStorage()

  @Test(arguments: [LoopFileSystem.Kind.xfs, .btrfs])
  func theImageIsWhatTheVolumeWasAndStaysSo(kind: LoopFileSystem.Kind) throws {
    let pool = try LoopFileSystem(kind)
    defer { pool.close() }
    let live = pool.path + "/live"
    try fileCommands(live, ["pwrite -q -S 1 0 100000", "truncate 3000001"])
    let before = try storage.bytes(live)
    let file = try storage.openFile(live, .read)
    defer { try? file.close() }
    let result = try ReflinkSnapshotter(storage: storage).take(of: file, into: pool.path + "/snapshots/one")
    try fileCommands(live, ["pwrite -q -S 2 0 200000"])
    #expect(try storage.bytes(result.path) == before)
    #expect(result.path == pool.path + "/snapshots/one/image" && result.size == 3_000_001)
    #expect(result.stallNanoseconds > 0 && result.extentCount.map { $0 > 0 } == true)
  }

  @Test func imageAndNamesAreDurableBeforeItReturns() throws {
    let pool = try LoopFileSystem(.xfs)
    defer { pool.close() }
    let live = pool.path + "/live"
    try fileCommands(live, ["pwrite -q -S 1 0 100000"])
    let recording = RecordingStorage(storage)
    let flusher = NotingFlusher(recording.gate)
    let file = try recording.open(live, .read)
    recording.gate.startLog()
    let directory = pool.path + "/snapshots/one"
    let result = try ReflinkSnapshotter(storage: recording, flusher: flusher).take(of: file, into: directory)
    let log = recording.gate.log
    let clone = try #require(log.firstIndex { $0.kind == .clone && $0.path == result.path })
    let sync = try #require(log.firstIndex { $0.kind == .synchronize && $0.path == result.path })
    let names = try #require(log.lastIndex { $0.kind == .synchronizeDirectory && $0.path == directory })
    #expect(clone < sync && sync < names)
    for parent in [pool.path, pool.path + "/snapshots"] {
      #expect(log.contains { $0.kind == .synchronizeDirectory && $0.path == parent })
    }
    let flushed = flusher.logLength.load(ordering: .acquiring)
    #expect(flushed >= 0 && flushed <= clone, "the volume is flushed before it is cloned")
    #expect(log[clone].from == live)
    try file.close()
  }

  @Test func afterAnyFailureNothingIsLeft() throws {
    let pool = try LoopFileSystem(.xfs)
    defer { pool.close() }
    let live = pool.path + "/live"
    try fileCommands(live, ["pwrite -q -S 1 0 100000"])
    let broken = ReplError(.io, subject: "disk", cause: "failed")
    for kind in [StorageOperation.Kind.makeDirectory, .clone, .synchronize, .synchronizeDirectory, .size] {
      let recording = RecordingStorage(storage)
      let file = try recording.open(live, .read)
      recording.gate.fail(with: broken) { $0.kind == kind && ($0.path.hasSuffix("image") || kind != .size) }
      #expect(throws: broken) {
        try ReflinkSnapshotter(storage: recording, flusher: NotingFlusher(recording.gate))
          .take(of: file, into: pool.path + "/snapshots/one")
      }
      #expect(try !storage.exists(pool.path + "/snapshots/one/image"), "\(kind)")
      try file.close()
    }
  }

  @Test func aVolumeThatShrankIsRefusedUntilAccepted() throws {
    let pool = try LoopFileSystem(.xfs)
    defer { pool.close() }
    let live = pool.path + "/live"
    try fileCommands(live, ["pwrite -q -S 1 0 100000"])
    let file = try storage.openFile(live, .read)
    defer { try? file.close() }
    let snapshotter = ReflinkSnapshotter(storage: storage)
    let error = #expect(throws: ReplError.self) {
      try snapshotter.take(of: file, into: pool.path + "/snapshots/one", expectedSize: 100_001)
    }
    #expect(error?.kind == .refused && error?.cause.contains("shrank") == true)
    #expect(error?.remedy?.contains("--accept-shrink") == true)
    #expect(try !storage.exists(pool.path + "/snapshots/one/image"))
    let accepted = try snapshotter.take(
      of: file, into: pool.path + "/snapshots/one", expectedSize: 100_001, acceptsShrinking: true)
    #expect(accepted.size == 100_000)
    let again = #expect(throws: ReplError.self) { try snapshotter.take(of: file, into: pool.path + "/snapshots/one") }
    #expect(again?.kind == .exists)
    #expect(try storage.exists(pool.path + "/snapshots/one/image"), "an image that was there is left alone")
  }

  @Test func otherFileSystemsAreRefusedWithTheRemedy() throws {
    let pool = try LoopFileSystem(.ext4, megabytes: 64)
    defer { pool.close() }
    try fileCommands(pool.path + "/live", ["pwrite -q -S 1 0 100000"])
    let file = try storage.openFile(pool.path + "/live", .read)
    defer { try? file.close() }
    let error = #expect(throws: ReplError.self) {
      try ReflinkSnapshotter(storage: storage).take(of: file, into: pool.path + "/snapshots/one")
    }
    #expect(error?.kind == .refused && error?.remedy?.contains("digest source") == true)
  }

  @Test(arguments: [true, false])
  func clonesTakeOverNoCopyOnWriteAndNothingElseDecidesIt(liveHasIt: Bool) throws {
    let pool = try LoopFileSystem(.btrfs)
    defer { pool.close() }
    // The other directory is marked, so that what is inherited there would be wrong.
    try LoopFileSystem.run(["mkdir", pool.path + "/live", pool.path + "/snapshots"])
    try LoopFileSystem.run(["chattr", "+C", pool.path + (liveHasIt ? "/live" : "/snapshots")])
    try fileCommands(pool.path + "/live/image", ["pwrite -q -S 1 0 100000"])
    let file = try storage.openFile(pool.path + "/live/image", .read)
    defer { try? file.close() }
    let result = try ReflinkSnapshotter(storage: storage).take(of: file, into: pool.path + "/snapshots/one")
    let flags = try LoopFileSystem.run(["lsattr", result.path]).split(separator: " ").first ?? ""
    #expect(flags.contains("C") == liveHasIt)
  }

  @Test func whatALoopMountedFileSystemWroteIsInTheImage() throws {
    let pool = try LoopFileSystem(.xfs)
    defer { pool.close() }
    let live = pool.path + "/live"
    try fileCommands(live, ["truncate 1m"])
    let loop = try LoopDevice(live)
    defer { loop.detach() }
    let device = loop.path
    // Into the device's cache; it stays there while somebody has the device open.
    let writer = try storage.openFile(device, .readWrite)
    defer { try? writer.close() }
    try Array("hello".utf8).withUnsafeBytes { try writer.write($0, at: 5) }
    let file = try storage.openFile(live, .read)
    defer { try? file.close() }
    let result = try ReflinkSnapshotter(storage: storage).take(of: file, into: pool.path + "/snapshots/one")
    #expect(Array(try storage.bytes(result.path)[5..<10]) == Array("hello".utf8))
  }
}
