import TestSupport
import Testing

extension Integration {
  /// What docs/operations.md says of moving a pool, done.
  @Suite("A pool that is moved to another disk")
  struct MovedPool {
    /// Copies everything to a new file system and mounts that in the old one's place.
    private func move(_ site: Site, to kind: LoopFileSystem.Kind) throws -> LoopFileSystem {
      let disk = try LoopFileSystem(kind, megabytes: 1024)
      try Command.check("cp", "-a", "--sparse=always", "\(site.pool)/.", disk.path)
      try Command.check("umount", site.pool)
      try Command.check("mount", disk.device, site.pool)
      return disk
    }

    @Test(
      "of the target: the points are read and proven anew, and the next cycle ships what changed",
      arguments: [LoopFileSystem.Kind.xfs, .btrfs])
    func target(kind: LoopFileSystem.Kind) throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 64 * .mebibyte)
        try volume.fill(seed: 1, count: 48 * .mebibyte)
        try sites.replicate()
        try volume.fill(seed: 2, count: 1 * .mebibyte)
        try sites.replicate()
        #expect(sites.target.agent.stop() == 0)
        let disk = try move(sites.target, to: kind)
        defer { disk.close() }
        defer {
          sites.target.agent.kill()
          _ = try? Command.check("umount", sites.target.pool)
        }
        try sites.target.agent.start()
        try volume.fill(seed: 3, count: 1 * .mebibyte)
        let cycle = try sites.replicateOne()
        #expect(cycle.bytesChanged ?? .max <= 1 << 20)
        let points = try sites.target.points("data")
        #expect(points.count == 3)
        #expect(points.first?.proof == "delta")
        #expect(points.first?.state == "sealed" && points.dropFirst().first?.state == "sealed")
        try sites.checkNewestPointIsLive(volume)
      }
    }

    @Test("of the source: contents are compared where they lie, and the next cycle ships what changed")
    func source() throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 64 * .mebibyte)
        try volume.fill(seed: 1, count: 48 * .mebibyte)
        try sites.replicate()
        #expect(sites.source.agent.stop() == 0)
        let disk = try move(sites.source, to: .xfs)
        defer { disk.close() }
        defer {
          sites.source.agent.kill()
          _ = try? Command.check("umount", sites.source.pool)
        }
        try sites.source.agent.start()
        try volume.fill(seed: 3, count: 1 * .mebibyte)
        let cycle = try sites.replicateOne()
        #expect(cycle.bytesChanged ?? .max <= 1 << 20)
        try sites.checkNewestPointIsLive(volume)
      }
    }
  }
}
