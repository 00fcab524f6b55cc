import BlockDiff
import Glibc
import ReplModel
import TestSupport
import Testing

/// What a volume is recognised by, whatever its name leads to today.
@Suite(.serialized) struct DurableIdentityTests {
  private let storage = LinuxStorage()

  private func identity(_ path: String) throws -> DurableIdentity {
    let file = try storage.openAllowed(path, allowedPaths: ["/"])
    defer { try? file.close() }
    return try DurableIdentity(file)
  }

  private func image(_ path: String, megabytes: Int = 4) throws {
    let file = try storage.openFile(path, .createNew)
    try file.truncate(to: UInt64(megabytes) << 20)
    try file.close()
  }

  private func device(_ marks: [DurableIdentity.Mark: String]) -> DurableIdentity {
    DurableIdentity(isDevice: true, marks: marks)
  }

  @Test func aDeviceIsTheSameIfOneMarkTellsAndNoneContradicts() {
    let disk = device([.wwid: "naa.5000", .serial: "S1"])
    #expect(disk.verdict(disk) == .same)
    #expect(disk.verdict(device([.wwid: "naa.5000"])) == .same, "what is not to be had now is not compared")
    #expect(disk.verdict(device([.wwid: "naa.5001", .serial: "S1"])) == .changed)
    #expect(disk.verdict(device([.mapperUUID: "LVM-1"])) == .changed, "another kind of device")
    #expect(disk.verdict(device([:])) == .changed, "it had a name and has none")
    #expect(device([:]).verdict(device([:])) == .unknown)
    #expect(device([:]).verdict(disk) == .changed)
    let part = device([.wwid: "naa.5000", .partitionPlace: "1@2048"])
    #expect(part.verdict(device([.wwid: "naa.5000", .partitionPlace: "2@4096"])) == .changed)
    #expect(device([.loopPath: "/a"]).verdict(device([.loopPath: "/a"])) == .unknown, "a path alone tells nothing")
    #expect(disk.verdict(DurableIdentity(isDevice: false, marks: [.inode: "1.1"])) == .changed)
  }

  @Test func aFileThatReplacedAnotherIsToldFromAnotherFileSystem() {
    func file(_ fileSystem: String?, _ inode: String) -> DurableIdentity {
      var marks: [DurableIdentity.Mark: String] = [.inode: inode]
      marks[.fileSystem] = fileSystem
      return DurableIdentity(isDevice: false, marks: marks)
    }
    #expect(file("uuid:a", "5.1").verdict(file("uuid:a", "5.1")) == .same)
    #expect(file("uuid:a", "5.1").verdict(file("uuid:a", "6.1")) == .replaced)
    #expect(file("uuid:a", "5.1").verdict(file("uuid:a", "5.2")) == .replaced, "the number was given again")
    #expect(file("uuid:a", "5.1").verdict(file("uuid:b", "5.1")) == .changed)
    #expect(file("device:1@x", "5.1").verdict(file("device:2@y", "5.1")) == .same, "no UUID, and another boot")
    #expect(file("device:1@x", "5.1").verdict(file("device:1@x", "6.1")) == .replaced)
    #expect(file("device:1@x", "5.1").verdict(file("device:2@y", "6.1")) == .changed)
  }

  @Test(.requiresLoopDevices, arguments: [LoopFileSystem.Kind.xfs, .btrfs, .ext4])
  func filesAreKnownByTheirFileSystemAndInode(kind: LoopFileSystem.Kind) throws {
    let (disk, other) = (try LoopFileSystem(kind), try LoopFileSystem(kind))
    defer {
      disk.close()
      other.close()
    }
    let path = disk.path + "/volume"
    try image(path)
    let before = try identity(path)
    #expect(before.isUnique && !before.isDevice)
    #expect(before.verdict(try identity(path)) == .same)
    try image(disk.path + "/new")
    #expect(rename(disk.path + "/new", path) == 0)
    #expect(before.verdict(try identity(path)) == .replaced)
    try image(other.path + "/volume")
    #expect(before.verdict(try identity(other.path + "/volume")) == .changed)
  }

  @Test(.requiresLoopDevices) func aLoopDeviceIsKnownByTheFileBehindIt() throws {
    let directory = try TemporaryDirectory()
    let (one, two) = (directory.file("one"), directory.file("two"))
    for path in [one, two] { try image(path) }
    let first = try LoopDevice(one)
    let before = try identity(first.path)
    #expect(before.isDevice && before.isUnique)
    #expect(before.summary == "backed by \(one)")
    #expect(try DurableIdentity.isKernelName(first.path, of: try storage.openAllowed(first.path, allowedPaths: ["/"])))
    let path = first.path
    do {
      // Both at once, so that nobody else is given the device in between.
      _ = try LoopDevice.attaching {
        first.detach()
        return try LoopFileSystem.run(["losetup", path, two])
      }
      defer { _ = try? LoopFileSystem.run(["losetup", "--detach", path]) }
      let now = try identity(path)
      #expect(before.verdict(now) == .changed, "the same name, another disk")
      #expect(now.summary == "backed by \(two)")
    }
    let again = try LoopDevice(one)
    defer { again.detach() }
    #expect(before.verdict(try identity(again.path)) == .same, "another name, the same disk")
  }
}
