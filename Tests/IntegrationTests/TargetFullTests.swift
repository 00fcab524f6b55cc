import TestSupport
import Testing

extension Integration {
  @Suite("A full target fails clearly and recovers when there is room")
  struct TargetFull {
    @Test("old points stay, the reason says what is missing", arguments: [LoopFileSystem.Kind.xfs, .btrfs])
    func full(target: LoopFileSystem.Kind) throws {
      var options = TwoSites.Options()
      options.targetSize = 512 * .mebibyte
      try TwoSites.run(.xfs, to: target, options) { sites in
        let volume = try sites.source.createVolume("data", size: 300 * .mebibyte)
        try volume.fill(seed: 1, count: 32 * .mebibyte)
        try sites.replicate()
        let old = try sites.checkNewestPointIsLive(volume)
        let digest = try Files.digest(sites.image(of: old, volume))

        let ballast = "\(sites.target.pool)/ballast"
        try Command.check("fallocate", "--length=240M", ballast)
        try volume.fill(seed: 2, count: 280 * .mebibyte)
        _ = try sites.replicateAndFail(mentioning: "bytes are missing", "no space", within: 180)
        #expect(try sites.target.points("data").contains { $0.id == old.id && $0.state == "sealed" })
        #expect(try Files.digest(sites.image(of: old, volume)) == digest)
        #expect(sites.target.agent.isRunning)

        try Command.check("rm", ballast)
        try sites.replicate(within: 180)
        try sites.checkNewestPointIsLive(volume)
        #expect(try Files.digest(sites.image(of: old, volume)) == digest)
      }
    }
  }
}
