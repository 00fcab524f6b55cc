import BlockDiff
import Glibc
import ReplModel
import TestSupport
import Testing
import Threads

@Suite struct StillnessEvidenceTests {
  private let storage = LinuxStorage()

  /// Files for leases must not lie on a file system without them.
  private func volume() throws -> (directory: TemporaryDirectory, path: String) {
    let directory = try TemporaryDirectory()
    let path = directory.file("volume")
    try storage.make(path, [UInt8](repeating: 1, count: 1 << 20))
    return (directory, path)
  }

  private func begin(_ path: String) throws -> StillnessEvidence {
    try StillnessEvidence.begin(path, allowedPaths: [parentDirectory(of: path), "/dev"])
  }

  private func expectNotStill(_ body: () throws -> Void) -> String {
    let error = #expect(throws: ReplError.self) { try body() }
    #expect(error?.kind == .noPointInTime)
    #expect(error?.cause.contains("cannot take a point in time") == true)
    #expect(error?.remedy?.contains("consistency: none") == true)
    return error?.cause ?? ""
  }

  @Test func aFileThatHoldsStillHasEvidence() throws {
    let (directory, path) = try volume()
    let evidence = try begin(path)
    for _ in 0..<10 { try evidence.check() }
    try evidence.finish()
    evidence.end()
    _ = directory
  }

  @Test func aWriterThatIsThereIsNamed() throws {
    let (directory, path) = try volume()
    let writer = try storage.openFile(path, .readWrite)
    let cause = expectNotStill { _ = try begin(path) }
    #expect(cause.contains("process \(getpid())"))
    try writer.close()
    try begin(path).finish()
    _ = directory
  }

  @Test func theKernelsWordCountsWhereNoHolderCanBeSeen() throws {
    let (directory, path) = try volume()
    let writer = try storage.openFile(path, .readWrite)
    _ = expectNotStill {
      _ = try StillnessEvidence.begin(path, allowedPaths: [directory.path]) { (_) throws(ReplError) in
        VolumeSurvey(holders: [])
      }
    }
    try writer.close()
  }

  @Test func aWritableMappingIsNamedAfterItsFileWasClosed() throws {
    let (directory, path) = try volume()
    let descriptor = open(path, O_RDWR)
    let memory = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    close(descriptor)
    let cause = expectNotStill { _ = try begin(path) }
    #expect(cause.contains("mapped for writing"))
    munmap(memory, 4096)
    try begin(path).finish()
    _ = directory
  }

  @Test(.timeLimit(.minutes(1)))
  func aWriterThatComesIsNotHeldUpAndEndsTheEvidence() throws {
    let (directory, path) = try volume()
    let evidence = try begin(path)
    let opened = Locked(false)
    let writer = try WorkerThread(name: "writer") {
      guard let file = try? LinuxStorage().openFile(path, .readWrite) else { return }
      opened.withLock { $0 = true }
      try? file.close()
    }
    // A bound, so that evidence that does not end is a failure and not a test without end.
    let deadline = MonotonicClock.now() + 20_000_000_000
    let cause = expectNotStill { while MonotonicClock.now() < deadline { try evidence.check() } }
    #expect(cause.contains("opened for writing"))
    // Released: the writer gets through although the evidence is still there.
    writer.join()
    #expect(opened.withLock { $0 })
    _ = expectNotStill { try evidence.check() }
    _ = expectNotStill { try evidence.finish() }
    _ = directory
  }

  @Test func aNameGivenToAnotherFileEndsTheEvidence() throws {
    let (directory, path) = try volume()
    try storage.make(directory.file("other"), [1])
    let evidence = try begin(path)
    try storage.replace(directory.file("other"), with: path)
    _ = expectNotStill { try evidence.finish() }
  }

  /// Nothing about the file itself changes when a directory above it is exchanged.
  @Test func aPathThatLeadsToAnotherFileEndsTheEvidence() throws {
    let directory = try TemporaryDirectory()
    for name in ["place", "other"] {
      try storage.makeDirectory(directory.file(name))
      try storage.make(directory.file(name) + "/volume", [1])
    }
    let evidence = try begin(directory.file("place") + "/volume")
    try storage.rename(directory.file("place"), to: directory.file("elsewhere"))
    try storage.rename(directory.file("other"), to: directory.file("place"))
    let cause = expectNotStill { try evidence.finish() }
    #expect(cause.contains("another file"))
  }

  @Test func changedTimesEndTheEvidence() throws {
    let (directory, path) = try volume()
    let evidence = try begin(path)
    try LoopFileSystem.run(["touch", "--date=2001-01-01", "--no-create", path + ".absent", directory.file("volume")])
    _ = expectNotStill { try evidence.check() }
  }

  @Test(.requiresLoopDevices) func theLoopDeviceOnAFileIsNamed() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("volume")
    try storage.make(path, [UInt8](repeating: 0, count: 1 << 20))
    let loop = try LoopDevice(path)
    defer { loop.detach() }
    let device = loop.path
    let cause = expectNotStill { _ = try begin(path) }
    #expect(cause.contains(device))
  }

  @Test(.requiresLoopDevices) func aDeviceThatHoldsStillHasEvidenceAndAWriteEndsIt() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("backing")
    try storage.make(path, [UInt8](repeating: 0, count: 4 << 20))
    let loop = try LoopDevice(path)
    defer { loop.detach() }
    let device = loop.path
    let quiet = try begin(device)
    try quiet.check()
    try quiet.finish()
    quiet.end()
    try quiet.file.close()
    let evidence = try begin(device)
    try LoopFileSystem.run(["dd", "if=/dev/urandom", "of=\(device)", "bs=4096", "count=1", "conv=fsync,notrunc"])
    _ = expectNotStill { try evidence.check() }
    _ = expectNotStill { try evidence.finish() }
    try evidence.file.close()
  }

  /// The times of the node that is read do not change then.
  @Test(.requiresLoopDevices) func aWriteThroughAnotherNodeOfTheDeviceEndsTheEvidence() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("backing")
    try storage.make(path, [UInt8](repeating: 0, count: 4 << 20))
    let device = try LoopFileSystem.run(["losetup", "--find", "--show", path])
    defer { _ = try? LoopFileSystem.run(["losetup", "--detach", device]) }
    var info = stat()
    try #require(stat(device, &info) == 0)
    let node = directory.file("node")
    try #require(mknod(node, S_IFBLK | 0o600, info.st_rdev) == 0)
    let evidence = try begin(device)
    try LoopFileSystem.run(["dd", "if=/dev/urandom", "of=\(node)", "bs=4096", "count=1", "conv=fsync,notrunc"])
    let cause = expectNotStill { try evidence.check() }
    #expect(cause.contains("written to"))
    try evidence.file.close()
  }

  @Test(.requiresLoopDevices) func aMountedDeviceIsRefusedWithItsMountPoint() throws {
    let disk = try LoopFileSystem(.ext4, megabytes: 64)
    defer { disk.close() }
    let cause = expectNotStill { _ = try begin(disk.device) }
    #expect(cause.contains(disk.path))
  }

  @Test(.requiresLoopDevices) func aDeviceOpenForWritingIsRefusedWithItsProcess() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("backing")
    try storage.make(path, [UInt8](repeating: 0, count: 1 << 20))
    let loop = try LoopDevice(path)
    defer { loop.detach() }
    let device = loop.path
    let writer = try storage.openFile(device, .readWrite)
    let cause = expectNotStill { _ = try begin(device) }
    #expect(cause.contains("process \(getpid())"))
    try writer.close()
  }
}
