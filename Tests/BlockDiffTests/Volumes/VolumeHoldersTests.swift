import BlockDiff
import Glibc
import ReplModel
import TestSupport
import Testing

@Suite(.serialized) struct VolumeHoldersTests {
  private let storage = LinuxStorage()

  private func inspect(_ path: String) throws -> LiveVolumeFile {
    try LiveVolumeFile.inspect(path, allowedPaths: [parentDirectory(of: path), "/dev"])
  }

  @Test func aFileNobodyUsesHasNoHolders() throws {
    let directory = try TemporaryDirectory()
    try storage.make(directory.file("volume"), [1, 2, 3])
    let volume = try inspect(directory.file("volume"))
    #expect(volume.kind == .file && volume.size == 3)
    #expect(try VolumeHolders.find(volume.identity).isEmpty)
    let reader = try storage.openFile(directory.file("volume"), .read)
    #expect(try VolumeHolders.find(volume.identity).isEmpty, "readers are no holders")
    try reader.close()
  }

  @Test func aWriterIsNamedWhateverNameItUsed() throws {
    let directory = try TemporaryDirectory()
    try storage.make(directory.file("volume"), [1, 2, 3])
    let link = directory.file("link")
    #expect(symlink(directory.file("volume"), link) == 0)
    let descriptor = open(link, O_WRONLY | O_APPEND)
    defer { close(descriptor) }
    let holders = try VolumeHolders.find(try inspect(directory.file("volume")).identity)
    guard case .open(let process, let command) = holders.first?.use else {
      Issue.record("no process found")
      return
    }
    #expect(process == getpid() && !command.isEmpty && holders.first?.canWrite == true)
  }

  @Test(.requiresLoopDevices, arguments: [LoopFileSystem.Kind.xfs, .btrfs])
  func aMappingIsFoundOnFileSystemsWithDeviceNumbersOfTheirOwn(
    kind: LoopFileSystem.Kind
  ) throws {
    let pool = try LoopFileSystem(kind)
    defer { pool.close() }
    let path = pool.path + "/volume"
    try storage.make(path, [UInt8](repeating: 1, count: 4096))
    let descriptor = open(path, O_RDWR)
    // Not writable now, but the process may make it so at any time.
    let memory = mmap(nil, 4096, PROT_READ, MAP_SHARED, descriptor, 0)
    close(descriptor)
    let holders = try VolumeHolders.find(try inspect(path).identity)
    #expect(holders.count == 1)
    if case .mapping(let process, _) = holders.first?.use { #expect(process == getpid()) } else { Issue.record("none") }
    munmap(memory, 4096)
    #expect(try VolumeHolders.find(try inspect(path).identity).isEmpty)
  }

  @Test(.requiresLoopDevices, arguments: [LoopFileSystem.Kind.xfs, .btrfs])
  func loopDevicesAndTheirMountsAreFound(kind: LoopFileSystem.Kind) throws {
    let pool = try LoopFileSystem(kind)
    defer { pool.close() }
    let path = pool.path + "/volume"
    try fileCommands(path, ["truncate 64m"])
    try LoopFileSystem.run(["mkfs.ext4", "-q", path])
    let loop = try LoopDevice(path)
    defer { loop.detach() }
    let device = loop.path
    let volume = try inspect(path)
    #expect(try VolumeHolders.find(volume.identity) == [VolumeHolder(.loopDevice(name: device))])
    let directory = try TemporaryDirectory()
    let point = directory.file("a place")
    try LoopFileSystem.run(["mkdir", point])
    try LoopFileSystem.run(["mount", device, point])
    defer { _ = try? LoopFileSystem.run(["umount", point]) }
    let holders = try VolumeHolders.find(volume.identity)
    #expect(holders.contains(VolumeHolder(.mount(point: point, device: device))))
    let ofDevice = try VolumeHolders.find(try inspect(device).identity)
    #expect(ofDevice.contains(VolumeHolder(.mount(point: point, device: device))))
  }

  @Test(.requiresLoopDevices) func aReadOnlyLoopDeviceCannotWrite() throws {
    let directory = try TemporaryDirectory()
    try storage.make(directory.file("volume"), [UInt8](repeating: 1, count: 1 << 20))
    let loop = try LoopDevice(directory.file("volume"), readOnly: true)
    defer { loop.detach() }
    let device = loop.path
    let volume = try inspect(directory.file("volume"))
    #expect(try VolumeHolders.find(volume.identity) == [VolumeHolder(.loopDevice(name: device), canWrite: false)])
    #expect(try VolumeHolders.writers(volume.identity).isEmpty)
  }

  @Test(.requiresLoopDevices) func aMountInAnotherMountNamespaceIsFound() throws {
    let disk = try LoopFileSystem(.ext4, megabytes: 64)
    defer { disk.close() }
    let directory = try TemporaryDirectory()
    let (ready, stop) = (directory.file("ready"), directory.file("stop"))
    try LoopFileSystem.run(["mkfifo", ready, stop])
    let point = directory.file("hidden")
    try LoopFileSystem.run(["mkdir", point])
    // A process of its own namespace mounts the device elsewhere, says so, and waits.
    let script = "mount \(disk.device) \(point) && echo > \(ready); read line < \(stop)"
    try LoopFileSystem.run(["sh", "-c", "unshare --mount sh -c '\(script)' > /dev/null 2>&1 &"])
    try LoopFileSystem.run(["cat", ready])
    defer { _ = try? LoopFileSystem.run(["sh", "-c", "echo > \(stop)"]) }
    let holders = try VolumeHolders.find(try inspect(disk.device).identity)
    #expect(holders.contains(VolumeHolder(.mount(point: point, device: disk.device))))
  }
}
