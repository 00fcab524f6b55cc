import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("Files without reflink are shipped by digests, and only while they hold still")
  struct DigestSource {
    private func withFile(_ body: (TwoSites, Volume, String) throws -> Void) throws {
      let disk = try LoopFileSystem(.ext4, megabytes: 256)
      defer { disk.close() }
      let path = "\(disk.path)/disk.img"
      try Command.check("truncate", "--size=32M", path)
      var options = TwoSites.Options()
      options.sourceExtra = "allowedPaths:\n  - \(disk.path)\n"
      try TwoSites.run(.xfs, to: .btrfs, options) { sites in
        let volume = try sites.source.importVolume("data", path: path)
        try volume.fill(seed: 1, count: 24 * .mebibyte)
        try body(sites, volume, path)
      }
    }

    @Test("a file at rest on ext4: full, then only the chunks whose digests changed")
    func atRest() throws {
      try withFile { sites, volume, path in
        try sites.replicate()
        let first = try sites.newestPoint(of: volume)
        try Files.requireEqual(sites.image(of: first, volume), path)
        try volume.fill(seed: 2, at: 5 * .mebibyte, count: 8192)
        let second = try sites.replicateOne()
        #expect(second.changeSource == "digest")
        #expect(second.fullReason ?? "" == "")
        #expect(second.bytesChanged ?? .max <= 2 << 20)
        #expect(second.bytesOnWire ?? .max <= 3 << 20)
        let newest = try sites.newestPoint(of: volume)
        try Files.requireEqual(sites.image(of: newest, volume), path)
        #expect(try sites.source.volumes().first?.changeSource == "digest")
      }
    }

    @Test("a file that somebody may write to has no point in time, and the remedy is named")
    func openForWriting() throws {
      try withFile { sites, volume, path in
        let holder = try OpenFile(path, O_RDWR)
        _ = try sites.replicateAndFail(mentioning: "cannot take a point in time")
        #expect(try sites.target.points("data").isEmpty)
        withExtendedLifetime(holder) {}
      }
    }

    @Test("a file that is written to all the time gets no point")
    func underWriter() throws {
      try withFile { sites, volume, path in
        let writer = try BlockWriter(volume, method: .buffered, seed: 1)
        _ = try sites.replicateAndFail(mentioning: "cannot take a point in time")
        try writer.stop()
        try sites.replicate()
        try Files.requireEqual(sites.image(of: sites.newestPoint(of: volume), volume), path)
      }
    }
  }
}
