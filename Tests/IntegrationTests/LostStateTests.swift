import Glibc
import TestSupport
import Testing

extension Integration {
  /// The base, a snapshot, a state directory: whatever one side lost, the next cycle is right, says why it cost more,
  /// and does not copy everything again without need.
  @Suite("What one side has lost is found out, told, and paid for once")
  struct LostState {
    private func sites(_ body: (TwoSites, Volume) throws -> Void) throws {
      try TwoSites.run(.xfs, to: .btrfs) { sites in
        let volume = try sites.source.createVolume("data", size: 64 * .mebibyte)
        try volume.fill(seed: 1, count: 48 * .mebibyte)
        try sites.replicate()
        try volume.fill(seed: 2, count: 1 * .mebibyte)
        try sites.replicate()
        try sites.checkNewestPointIsLive(volume)
        try body(sites, volume)
      }
    }

    @Test("the snapshots at the source: contents are compared, differences shipped")
    func twinsLost() throws {
      try sites { sites, volume in
        _ = sites.source.agent.stop()
        try Command.check("chattr", "-R", "-i", "\(sites.source.pool)/.repl-agent/snapshots")
        try Command.check("sh", "-c", "rm -rf \(sites.source.pool)/.repl-agent/snapshots/*")
        try sites.source.agent.start()
        try volume.fill(seed: 3, at: 20 * .mebibyte, count: 1 * .mebibyte)
        let cycle = try sites.replicateOne()
        try sites.checkNewestPointIsLive(volume)
        #expect(cycle.bytesChanged ?? .max <= 4 << 20, "no full copy: \(cycle.bytesChanged ?? 0) bytes")
        #expect(cycle.changeSource != "reflink")
        let next = try sites.replicateOne()
        #expect(next.changeSource == "reflink", "the loss is paid for once")
        #expect(next.bytesChanged == 0)
      }
    }

    @Test("the newest point at the target: the newest one both hold is the base")
    func pointLost() throws {
      try sites { sites, volume in
        let newest = try sites.newestPoint(of: volume)
        _ = sites.target.agent.stop()
        let directory = "\(sites.target.pointsDirectory(of: volume.id, from: "alpha"))/\(newest.id)"
        try Command.check("chattr", "-R", "-i", directory)
        try Command.check("rm", "-rf", directory)
        try sites.target.agent.start()
        try volume.fill(seed: 3, at: 20 * .mebibyte, count: 1 * .mebibyte)
        try sites.replicate()
        let point = try sites.checkNewestPointIsLive(volume)
        #expect(point.id != newest.id)
        #expect(try sites.target.points("data").first { $0.id == newest.id }?.state != "sealed")
      }
    }

    @Test("all points at the target: one full copy, and the reason is said")
    func allPointsLost() throws {
      try sites { sites, volume in
        _ = sites.target.agent.stop()
        let directory = sites.target.pointsDirectory(of: volume.id, from: "alpha")
        try Command.check("chattr", "-R", "-i", directory)
        try Command.check("sh", "-c", "rm -rf \(directory)/*/")
        try sites.target.agent.start()
        let cycle = try sites.replicateOne()
        #expect(cycle.fullReason?.isEmpty == false)
        try sites.checkNewestPointIsLive(volume)
        #expect(try sites.replicateOne().bytesChanged == 0)
      }
    }

    enum Restored: String, Sendable, CaseIterable { case source, target }

    @Test("a state directory restored from an old copy", arguments: Restored.allCases)
    func stateRestored(restored: Restored) throws {
      try sites { sites, volume in
        let site = restored == .source ? sites.source : sites.target
        let saved = "\(sites.directory.path)/saved"
        _ = site.agent.stop()
        try Command.check("cp", "-a", site.stateDirectory, saved)
        try site.agent.start()
        for seed in 3...4 {
          try volume.fill(seed: UInt64(seed), at: 8 * .mebibyte, count: 1 * .mebibyte)
          try sites.replicate()
        }
        let before = try sites.checkNewestPointIsLive(volume)
        let digest = try Files.digest(sites.image(of: before, volume))
        _ = site.agent.stop()
        try Command.check("rm", "-rf", site.stateDirectory)
        try Command.check("cp", "-a", saved, site.stateDirectory)
        try site.agent.start()
        try volume.fill(seed: 5, at: 16 * .mebibyte, count: 1 * .mebibyte)
        // A name of its own: the restored side may not know the migrations that came after the copy.
        let name = "after-restore"
        try sites.source.control.check(
          "create", "migration", name, "-n", Site.namespace, "-c", TwoSites.pairName, "--namespaces", Site.namespace)
        let result = try sites.end(of: name)
        #expect(result.isSuccessful, "\(result.reasons)")
        try sites.checkNewestPointIsLive(volume)
        let image = sites.image(of: before, volume)
        let untouched = try !Files.exists(image) || Files.digest(image) == digest
        #expect(untouched, "a sealed point is never written into")
      }
    }

    @Test("a database of a newer version is refused by name and left alone")
    func newerDatabase() throws {
      try sites { sites, _ in
        _ = sites.target.agent.stop()
        let database = "\(sites.target.stateDirectory)/agent.db"
        try Command.check("sqlite3", database, "PRAGMA user_version = 9999")
        let digest = try Files.digest(database)
        try sites.target.agent.launch()
        let status = sites.target.agent.waitForEnd()
        #expect(status != nil && status != 0)
        #expect(sites.target.agent.logTail().contains("9999"))
        #expect(sites.target.agent.logTail().contains(database))
        #expect(try Files.digest(database) == digest)
      }
    }
  }
}
