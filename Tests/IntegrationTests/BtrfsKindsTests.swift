import Glibc
import Testing

extension Integration {
  @Suite("What btrfs can be: images without copy-on-write, compressed ones")
  struct BtrfsKinds {
    @Test("an image with the NOCOW flag, as libvirt makes them")
    func withoutCopyOnWrite() throws {
      try TwoSites.run(.btrfs, to: .xfs) { sites in
        let directory = "\(sites.source.pool)/images"
        try Command.check("mkdir", directory)
        try Command.check("chattr", "+C", directory)
        try Command.check("truncate", "--size=32M", "\(directory)/vm.img")
        #expect(try Command.check("lsattr", "\(directory)/vm.img").prefix(24).contains("C"))
        let volume = try sites.source.importVolume("vm", path: "\(directory)/vm.img")
        try volume.fill(seed: 1, count: 16 * .mebibyte)
        try sites.replicate()
        try sites.checkNewestPointIsLive(volume)
        let writer = try BlockWriter(volume, method: .direct, seed: 5)
        for _ in 1...3 {
          try sites.replicate()
          try sites.checkNewestPoint(of: volume)
        }
        try writer.stop()
        let last = try sites.replicateOne()
        #expect(last.changeSource == "reflink")
        try sites.checkNewestPointIsLive(volume)
      }
    }

    @Test("a compressed pool: what did not change is not shipped", arguments: ["compress-force=zstd", "compress=lzo"])
    func compressed(option: String) throws {
      var options = TwoSites.Options()
      options.sourceMount = option
      try TwoSites.run(.btrfs, to: .xfs, options) { sites in
        let volume = try sites.source.createVolume("data", size: 32 * .mebibyte)
        let file = try OpenFile(volume.path, O_WRONLY)
        let text = Array(String(repeating: "compressible text of a log ", count: 40_000).utf8)
        for part in 0..<16 { try file.write(text, at: part * 2 * .mebibyte) }
        try file.sync()
        try sites.replicate()
        try sites.checkNewestPointIsLive(volume)
        try file.write(Array("changed".utf8), at: 9 * .mebibyte)
        try file.sync()
        let cycle = try sites.replicateOne()
        #expect(cycle.bytesChanged == 4096)
        try sites.checkNewestPointIsLive(volume)
      }
    }
  }
}
