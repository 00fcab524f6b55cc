import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("Sizes are bytes: odd ones, growing ones, shrunk ones")
  struct OddSizes {
    @Test(
      "a volume whose size is no multiple of a block", arguments: [1, 4095, 4097, 3_333_333, 1_048_577],
      [LoopFileSystem.Kind.xfs, LoopFileSystem.Kind.btrfs])
    func odd(size: Int, source: LoopFileSystem.Kind) throws {
      try TwoSites.run(source, to: source == .xfs ? .btrfs : .xfs) { sites in
        let volume = try sites.source.createVolume("data", size: size)
        #expect(try Files.measure(volume.path).size == size)
        try volume.fill(seed: 1, count: size)
        try sites.replicate()
        let point = try sites.checkNewestPointIsLive(volume)
        #expect(point.sizeBytes == size)
        let file = try OpenFile(volume.path, O_WRONLY)
        try file.write([0xAA], at: size - 1)
        try file.sync()
        let cycle = try sites.replicateOne()
        #expect(cycle.bytesChanged ?? .max <= 4096)
        try sites.checkNewestPointIsLive(volume)
      }
    }

    @Test("a volume grows by odd amounts, and old points keep their size")
    func grows() throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 1_000_001)
        try volume.fill(seed: 1, count: 1_000_001)
        try sites.replicate()
        let old = try sites.checkNewestPointIsLive(volume)
        for size in [1_000_002, 1_004_999, 30 << 20] {
          let file = try OpenFile(volume.path, O_RDWR)
          try file.truncate(to: size)
          try file.write([1], at: size - 1)
          try file.sync()
          let cycle = try sites.replicateOne()
          #expect(cycle.bytesChanged ?? .max <= 3 * 4096, "growth is a new size and zeros")
          #expect(try sites.checkNewestPointIsLive(volume).sizeBytes == size)
        }
        #expect(try Files.measure(sites.image(of: old, volume)).size == 1_000_001)
      }
    }

    @Test("a volume that shrank is refused, says so, and goes on when it has its size again")
    func shrinks() throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 8 * .mebibyte)
        try volume.fill(seed: 1, count: 8 * .mebibyte)
        try sites.replicate()
        let point = try sites.checkNewestPointIsLive(volume)
        let file = try OpenFile(volume.path, O_RDWR)
        try file.truncate(to: 4 * .mebibyte)
        try file.sync()
        _ = try sites.replicateAndFail(mentioning: "shrank", "smaller", "shrunk")
        #expect(try sites.target.points("data").map(\.id) == [point.id])
        try file.truncate(to: 8 * .mebibyte)
        try file.sync()
        try sites.replicate()
        try sites.checkNewestPointIsLive(volume)
      }
    }
  }
}
