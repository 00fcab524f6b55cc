import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("What people leave among the agent's files keeps nothing from its service")
  struct StrayEntries {
    @Test("a clone into the agent's own directory is refused, whatever way the path takes, and the agent starts again")
    func clonesIntoThePool() throws {
      try TwoSites.run(.xfs, to: .xfs) { sites in
        let volume = try sites.source.createVolume("data", size: 8 * .mebibyte)
        try volume.fill(seed: 1, count: 1 * .mebibyte)
        try sites.replicate()
        let own = "\(sites.target.pool)/.repl-agent"
        let link = "\(sites.directory.path)/link"
        try #require(symlink(own, link) == 0)
        let paths = [
          "\(own)/x.img", "\(own)/points/x.img", "\(link)/staging/x.img",
          "\(sites.target.pool)/.repl-agent/../.repl-agent/x.img",
        ]
        for path in paths {
          let refused = try sites.target.control.run(
            ["recovery-points", "clone", "data", "-n", Site.namespace, "--to", path])
          #expect(refused.status == 4, "\(path): \(refused.summary)")
          #expect(refused.summary.contains("the agent's own directory"))
        }
        try sites.source.control.check(
          "recovery-points", "clone", "data", "-n", Site.namespace, "--to", "\(sites.source.pool)/copy.img")
        let twin = sites.twin(of: try sites.newestPoint(of: volume), volume)
        let refused = try sites.source.control.run(["volume", "import", "twin", "-n", Site.namespace, "--path", twin])
        #expect(refused.status == 4)
        #expect(sites.target.agent.stop() == 0)
        try sites.target.agent.start()
        try sites.checkNewestPointIsLive(volume)
      }
    }

    @Test("rubbish in every directory of a pool: the agent starts, lists its points, goes on, and says what it found")
    func rubbishEverywhere() throws {
      try TwoSites.run(.xfs, to: .xfs) { sites in
        let volume = try sites.source.createVolume("data", size: 8 * .mebibyte)
        try volume.fill(seed: 1, count: 1 * .mebibyte)
        try sites.replicate()
        for site in [sites.source, sites.target] {
          #expect(site.agent.stop() == 0)
          try Self.litter("\(site.pool)/.repl-agent")
          try site.agent.start()
        }
        let points = try sites.target.points("data")
        #expect(points.count == 1)
        #expect(points.first?.state == "sealed")
        #expect(sites.target.agent.logText().contains("left alone"))
        #expect(try sites.target.control.check("status").contains("left alone"))
        try volume.fill(seed: 2, at: 2 * .mebibyte, count: 8192)
        #expect(try sites.replicateOne().changeSource == "reflink")
        try sites.checkNewestPointIsLive(volume)
        #expect(Files.exists("\(sites.target.pool)/.repl-agent/points/clone.img"), "what a person put there stays")
      }
    }

    private static func litter(_ root: String) throws {
      let id = String(repeating: "7", count: 32)
      for directory in try Command.check("find", root, "-type", "d").split(separator: "\n").map(String.init) {
        for name in ["clone.img", "\(id)", "east~\(id)", "east~\(id)~\(id)", "probe", "\(id).key"] {
          let path = "\(directory)/\(name)"
          if !Files.exists(path) { try Files.write("rubbish", to: path) }
        }
        try #require(mkdir("\(directory)/a directory", 0) == 0)
        try #require(mkfifo("\(directory)/pipe", 0o600) == 0)
        try #require(symlink("/nowhere", "\(directory)/link") == 0)
      }
    }
  }
}
