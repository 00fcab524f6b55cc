import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("Holes and zeros cost nothing and stay sparse")
  struct Sparse {
    @Test(
      "a volume of 1 TiB with little in it",
      arguments: [(LoopFileSystem.Kind.xfs, LoopFileSystem.Kind.btrfs), (.btrfs, .xfs)])
    func huge(source: LoopFileSystem.Kind, target: LoopFileSystem.Kind) throws {
      try TwoSites.run(source, to: target) { sites in
        let volume = try sites.source.createVolume("data", size: 1 * .tebibyte)
        let places = [0, 300 * .gibibyte + 12_288, 1 * .tebibyte - 65_536]
        for (seed, place) in places.enumerated() { try volume.fill(seed: UInt64(seed), at: place, count: 65_536) }
        let first = try sites.replicateOne(within: 60)
        #expect(first.bytesChanged == 3 * 65_536)
        let point = try sites.newestPoint(of: volume)
        try check(places, sites.image(of: point, volume))

        try volume.fill(seed: 1, at: 700 * .gibibyte, count: 4096)
        let second = try sites.replicateOne(within: 60)
        #expect(second.bytesChanged == 4096)
        let newest = try sites.newestPoint(of: volume)
        try check(places, sites.image(of: newest, volume))
        #expect(try sites.source.agent.peakMemory() <= 128 * 1024)
        #expect(try sites.target.agent.peakMemory() <= 128 * 1024)
      }
    }

    private func check(_ places: [Int], _ image: String) throws {
      let measure = try Files.measure(image)
      #expect(measure.size == 1 * .tebibyte)
      #expect(measure.allocated < 4 * .mebibyte)
      let file = try OpenFile(image, O_RDONLY)
      for (seed, place) in places.enumerated() {
        var random = SeededGenerator(seed: UInt64(seed))
        #expect(try file.read(65_536, at: place) == random.bytes(65_536))
      }
    }

    @Test("punched holes and written zeros give their blocks back at the target")
    func zeros() throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 64 * .mebibyte)
        try volume.fill(seed: 1, count: 64 * .mebibyte)
        try sites.replicate()
        let file = try OpenFile(volume.path, O_RDWR)
        try file.punchHole(at: 0, count: 32 * .mebibyte)
        let zeros = [UInt8](repeating: 0, count: 16 * .mebibyte)
        try file.write(zeros, at: 40 * .mebibyte)
        try file.sync()
        let cycle = try sites.replicateOne()
        #expect(cycle.bytesOnWire ?? .max < 1 << 20, "zeros travel as runs")
        let point = try sites.checkNewestPointIsLive(volume)
        #expect(try Files.measure(sites.image(of: point, volume)).allocated <= 17 * .mebibyte)
      }
    }

    @Test("a first copy of written zeros allocates nothing")
    func firstCopyOfZeros() throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 32 * .mebibyte)
        let file = try OpenFile(volume.path, O_RDWR)
        try file.write([UInt8](repeating: 0, count: 32 * .mebibyte), at: 0)
        try file.sync()
        try sites.replicate()
        let point = try sites.checkNewestPointIsLive(volume)
        #expect(try Files.measure(sites.image(of: point, volume)).allocated < 1 * .mebibyte)
      }
    }
  }
}
