import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("A clone of a point is writable, the point is not")
  struct Clones {
    @Test(
      "writing into a clone changes neither the point nor the next cycle", arguments: [LoopFileSystem.Kind.xfs, .btrfs])
    func writable(target: LoopFileSystem.Kind) throws {
      try TwoSites.run(.xfs, to: target) { sites in
        let volume = try sites.source.createVolume("data", size: 16 * .mebibyte)
        try volume.fill(seed: 1, count: 8 * .mebibyte)
        try sites.replicate()
        let point = try sites.checkNewestPointIsLive(volume)
        let image = sites.image(of: point, volume)
        let digest = try Files.digest(image)

        let path = "\(sites.target.pool)/clone.img"
        try sites.target.control.check("recovery-points", "clone", "data", "-n", Site.namespace, "--to", path)
        try Files.requireEqual(path, image)
        let clone = try OpenFile(path, O_RDWR)
        try clone.write([UInt8](repeating: 9, count: 100_000), at: 1 * .mebibyte)
        try clone.sync()
        #expect(try Files.digest(image) == digest)
        #expect(try Command.check("lsattr", image).prefix(24).contains("i"), "points are immutable")

        let again = try sites.target.control.run(
          ["recovery-points", "clone", "data", "-n", Site.namespace, "--to", path])
        #expect(again.status != 0, "a clone overwrites nothing")
        let elsewhere = "\(sites.directory.path)/copy.img"
        try sites.target.control.check("recovery-points", "clone", "data", "-n", Site.namespace, "--to", elsewhere)
        try Files.requireEqual(elsewhere, image)
        #expect(try Files.measure(elsewhere).allocated < 10 * .mebibyte, "a copy to another file system stays sparse")

        try volume.fill(seed: 2, count: 4096)
        let cycle = try sites.replicateOne()
        #expect(cycle.bytesChanged == 4096)
        try sites.checkNewestPointIsLive(volume)
      }
    }
  }
}
