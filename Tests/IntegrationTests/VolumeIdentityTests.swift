import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("A volume is what it was, not what its name leads to today")
  struct VolumeIdentity {
    /// Two sites and a source volume on a loop device, by the name that `name` makes of the device's.
    private func withDevice(
      _ name: (TwoSites, LoopDevice) throws -> String, _ body: (TwoSites, Volume, LoopDevice, String) throws -> Void
    ) throws {
      let disks = try TemporaryDirectory()
      let (one, two) = ("\(disks.path)/one.img", "\(disks.path)/two.img")
      for path in [one, two] { try Command.check("truncate", "--size=16M", path) }
      let device = try LoopDevice(one)
      defer { device.detach() }
      var options = TwoSites.Options()
      options.sourceExtra = "allowedPaths:\n  - /dev\n"
      try TwoSites.run(.xfs, to: .xfs, options) { sites in
        let volume = try sites.source.importVolume("disk", path: try name(sites, device))
        try Self.fill(device.path, seed: 1)
        try sites.replicate()
        try body(sites, volume, device, two)
      }
    }

    private static func fill(_ path: String, seed: UInt64) throws {
      var generator = SeededGenerator(seed: seed)
      let file = try OpenFile(path, O_RDWR)
      try file.write((0..<3 * .mebibyte).map { _ in UInt8.random(in: 0...255, using: &generator) }, at: 0)
      try file.sync()
    }

    /// Gives the device's name to another file.
    private static func exchange(_ device: LoopDevice, _ backing: String) throws {
      // All at once, so that nobody else is given the device in between.
      _ = try LoopDevice.attaching {
        try Command.check("losetup", "--detach", device.path)
        try eventually("the device is free") { try Command.run(["losetup", device.path]).status != 0 }
        try Command.check("losetup", device.path, backing)
      }
    }

    @Test("another disk at a device's name is refused by name and never sealed; the right one goes on")
    func anotherDiskAtTheKernelName() throws {
      try withDevice({ $1.path }) { sites, volume, device, other in
        try #require(try sites.target.points("disk").count == 1)
        try Self.exchange(device, other)
        try Self.fill(device.path, seed: 2)
        _ = try sites.replicateAndFail(mentioning: "is now backed by \(other)", "import it again")
        #expect(try sites.target.points("disk").count == 1)
        try Self.exchange(device, other.replacing("two.img", with: "one.img"))
        try sites.replicate()
        let newest = try sites.newestPoint(of: volume)
        try Files.requireEqual(sites.image(of: newest, volume), device.path)
      }
    }

    @Test("a link to a device stays the link: it is followed anew, and what it leads to then is checked")
    func aLinkThatMoves() throws {
      let links = try TemporaryDirectory()
      let link = "\(links.path)/by-id-of-a-disk"
      try withDevice({ _, device in
        try #require(symlink(device.path, link) == 0)
        return link
      }) { sites, volume, device, other in
        #expect(volume.path == link, "what was named is kept")
        let wrong = try LoopDevice(other)
        defer { wrong.detach() }
        try #require(unlink(link) == 0 && symlink(wrong.path, link) == 0)
        try Self.fill(wrong.path, seed: 3)
        _ = try sites.replicateAndFail(mentioning: "is now backed by \(other)")
        // The disk came back under another kernel name, and the link with it.
        let backing = other.replacing("two.img", with: "one.img")
        device.detach()
        let moved = try LoopDevice(backing)
        defer { moved.detach() }
        try #require(unlink(link) == 0 && symlink(moved.path, link) == 0)
        try sites.replicate()
        #expect(try sites.target.points("disk").count == 2)
      }
    }

    @Test("a file replaced by renaming is the volume with new contents: told, compared, equal")
    func aFileThatWasReplaced() throws {
      try TwoSites.run(.xfs, to: .xfs) { sites in
        let volume = try sites.source.createVolume("data", size: 16 * .mebibyte)
        try volume.fill(seed: 1, count: 4 * .mebibyte)
        try sites.replicate()
        try Command.check("cp", "--reflink=never", volume.path, volume.path + ".new")
        try Command.check("mv", volume.path + ".new", volume.path)
        try volume.fill(seed: 2, at: 8 * .mebibyte, count: 4096)
        let cycle = try sites.replicateOne()
        #expect(cycle.changeSource == "reflink", "two snapshots of one file system are compared, whatever they are of")
        #expect(cycle.bytesChanged ?? .max <= 4096)
        try sites.checkNewestPointIsLive(volume)
        try volume.fill(seed: 3, at: 8 * .mebibyte, count: 4096)
        #expect(try sites.replicateOne().bytesChanged ?? .max <= 4096)
        try sites.checkNewestPointIsLive(volume)
      }
    }

    @Test("a file system that is not mounted is not the volume")
    func anotherFileSystem() throws {
      let (disk, empty) = (try LoopFileSystem(.ext4, megabytes: 128), try LoopFileSystem(.ext4, megabytes: 128))
      defer {
        empty.close()
        disk.close()
      }
      let mounts = try TemporaryDirectory()
      let mount = "\(mounts.path)/srv"
      try Command.check("mkdir", mount)
      try Command.check("mount", "--bind", disk.path, mount)
      defer { _ = try? Command.run(["umount", "-l", mount]) }
      var options = TwoSites.Options()
      options.sourceExtra = "allowedPaths:\n  - \(mounts.path)\n"
      try TwoSites.run(.xfs, to: .xfs, options) { sites in
        try Command.check("truncate", "--size=8M", "\(mount)/disk.img")
        let volume = try sites.source.importVolume("data", path: "\(mount)/disk.img")
        try volume.fill(seed: 1, count: 2 * .mebibyte)
        try sites.replicate()
        try Command.check("umount", mount)
        try Command.check("mount", "--bind", empty.path, mount)
        try Command.check("truncate", "--size=8M", "\(mount)/disk.img")
        _ = try sites.replicateAndFail(mentioning: "of the file system", "was inode")
        #expect(try sites.target.points("data").count == 1)
      }
    }

    @Test("the data of a block device is never erased, and nothing says so")
    func deletingADevice() throws {
      try withDevice({ $1.path }) { sites, volume, device, _ in
        let before = try Files.digest(device.path)
        let refused = try sites.source.control.run(
          ["volume", "delete", "disk", "-n", Site.namespace, "--data", "--confirm", "disk"])
        #expect(refused.status == 4)
        #expect(refused.summary.contains("devices are never erased"))
        #expect(try sites.source.volumes().map(\.id) == [volume.id])
        try sites.source.control.check("volume", "delete", "disk", "-n", Site.namespace)
        #expect(try Files.digest(device.path) == before)
      }
    }
  }
}
