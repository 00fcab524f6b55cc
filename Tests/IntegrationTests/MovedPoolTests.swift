import FoundationEssentials
import TestSupport
import Testing

extension Integration {
  @Suite("A pool is moved to another disk as docs/operations.md says")
  struct MovedPool {
    enum Moved: String, Sendable, CaseIterable { case source, target, targetToBtrfs }

    @Test("the next cycle is incremental, and the points are sealed again", arguments: Moved.allCases)
    func move(moved: Moved) throws {
      let disk = try LoopFileSystem(moved == .targetToBtrfs ? .btrfs : .xfs, megabytes: 1024)
      defer { disk.close() }
      try Command.check("umount", disk.path)
      try TwoSites.run(.xfs, to: .xfs) { sites in
        let volume = try sites.source.createVolume("data", size: 64 * .mebibyte)
        try volume.fill(seed: 1, count: 48 * .mebibyte)
        try sites.replicate()
        try volume.fill(seed: 2, count: 1 * .mebibyte)
        try sites.replicate()

        try followDocument(moved == .source ? sites.source : sites.target, to: disk)
        // Whoever looks at the points before the next cycle does not make it a full one.
        #expect(try sites.target.points("data").count == 2)
        try volume.fill(seed: 3, at: 20 * .mebibyte, count: 64 * .kibibyte)
        let cycle = try sites.replicateOne()
        #expect(cycle.changeSource == "reflink", "\(cycle.fullReason ?? "")")
        #expect(cycle.bytesChanged == 64 << 10, "only what was written")
        let newest = try sites.checkNewestPointIsLive(volume)
        #expect(newest.proof == "delta")

        try eventually("all points are sealed again") {
          try sites.target.points("data").allSatisfy { $0.state == "sealed" }
        }
        let next = try sites.replicateOne()
        #expect(next.bytesChanged == 0)
      }
    }

    /// Runs the commands of the document with the names of this test.
    private func followDocument(_ site: Site, to disk: LoopFileSystem) throws {
      let commands = try Self.commands()
      try #require(commands.count == 7)
      for command in commands {
        switch command {
        case "systemctl stop repl-agent": _ = site.agent.stop()
        case "systemctl start repl-agent": try site.agent.start()
        default:
          let words = command.replacing("/srv/pool", with: site.pool).replacing("/mnt/new", with: disk.path)
            .replacing("/dev/NEW", with: disk.device)
          try Command.check("sh", "-c", words)
        }
      }
    }

    private static func commands() throws -> [String] {
      let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
      let text = try Command.check("cat", root + "/docs/operations.md")
      let parts = text.split(separator: "<!-- move a pool: begin -->", maxSplits: 1)
      try #require(parts.count == 2)
      let block = parts[1].split(separator: "<!-- move a pool: end -->", maxSplits: 1)[0]
      return block.split(separator: "\n").map(String.init).filter { !$0.hasPrefix("```") }
    }
  }
}
