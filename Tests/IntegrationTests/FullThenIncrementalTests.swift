import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("A volume is copied in full once, then only what changed is shipped")
  struct FullThenIncremental {
    @Test(
      "points equal their twins and the live file, cycle after cycle",
      arguments: [(LoopFileSystem.Kind.xfs, LoopFileSystem.Kind.btrfs), (.btrfs, .xfs)])
    func cycles(source: LoopFileSystem.Kind, target: LoopFileSystem.Kind) throws {
      try TwoSites.run(source, to: target) { sites in
        let volume = try sites.source.createVolume("data", size: 64 * .mebibyte)
        try volume.fill(seed: 1, count: 24 * .mebibyte)

        let first = try sites.replicateOne()
        #expect(first.proof == "full")
        #expect(first.bytesChanged == 24 << 20)
        #expect(first.fullReason?.isEmpty == false, "a full copy says why")
        let firstPoint = try sites.checkNewestPointIsLive(volume)
        let firstDigest = try Files.digest(sites.image(of: firstPoint, volume))

        // Three places: a whole block, a few bytes across a boundary of blocks, a piece of what was a hole.
        let file = try OpenFile(volume.path, O_WRONLY)
        var random = SeededGenerator(seed: 2)
        try file.write(random.bytes(4096), at: 8 * .mebibyte)
        try file.write(random.bytes(10), at: 12 * .mebibyte + 4091)
        try file.write(random.bytes(100), at: 40 * .mebibyte)
        try file.sync()

        let second = try sites.replicateOne()
        #expect(second.changeSource == "reflink")
        #expect(second.fullReason ?? "" == "")
        #expect(second.bytesChanged == 4 * 4096, "one block, two blocks, one block")
        #expect(second.proof == "delta")
        let secondPoint = try sites.checkNewestPointIsLive(volume)
        #expect(secondPoint.generation > firstPoint.generation)

        let third = try sites.replicateOne()
        #expect(third.bytesChanged == 0)
        let thirdPoint = try sites.checkNewestPointIsLive(volume)
        #expect(thirdPoint.fingerprint == secondPoint.fingerprint)

        // The oldest point is what it was, and is listed with the fields of the contract.
        #expect(try Files.digest(sites.image(of: firstPoint, volume)) == firstDigest)
        let points = try sites.target.points("data")
        #expect(points.map(\.id) == [thirdPoint.id, secondPoint.id, firstPoint.id])
        #expect(points.allSatisfy { $0.sizeBytes == 64 << 20 && $0.consistency == "volume" && $0.state == "sealed" })
      }
    }

    @Test("the file replaced by another one is found by content, not by name")
    func replacedFile() throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 16 * .mebibyte)
        try volume.fill(seed: 1, count: 16 * .mebibyte)
        try sites.replicate()
        try Command.check("cp", "--reflink=never", volume.path, volume.path + ".new")
        let file = try OpenFile(volume.path + ".new", O_WRONLY)
        try file.write([7, 7, 7], at: 5 * .mebibyte)
        try file.sync()
        try Command.check("mv", volume.path + ".new", volume.path)
        let cycle = try sites.replicateOne()
        try sites.checkNewestPointIsLive(volume)
        #expect(cycle.bytesChanged == 4096, "all extents moved, one block differs")
      }
    }

    @Test("a full copy uses what compresses and keeps both agents within their memory")
    func compressible() throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("text", size: 64 * .mebibyte)
        let line = Array("The same line of text, again and again, as logs have it.\n".utf8)
        let piece = (0..<18_000).flatMap { _ in line }
        let file = try OpenFile(volume.path, O_WRONLY)
        for part in 0..<32 { try file.write(piece, at: part * 2 * .mebibyte) }
        try file.sync()
        let cycle = try sites.replicateOne()
        try sites.checkNewestPointIsLive(volume)
        #expect(cycle.bytesOnWire ?? .max < (cycle.bytesChanged ?? 0) + .mebibyte64)
        #expect(try sites.source.agent.peakMemory() <= 128 * 1024)
        #expect(try sites.target.agent.peakMemory() <= 128 * 1024)
      }
    }
  }
}

extension UInt64 {
  fileprivate static let mebibyte64: UInt64 = 1 << 20
}
