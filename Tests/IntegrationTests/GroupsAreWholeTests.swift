import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("The volumes of a group become points together or not at all")
  struct GroupsAreWhole {
    private func makeGroup(_ sites: TwoSites) throws -> [Volume] {
      try ["data", "log", "index"].map { name in
        let volume = try sites.source.createVolume(name, size: 16 * .mebibyte)
        try volume.fill(seed: UInt64(name.utf8.count), count: 8 * .mebibyte)
        return volume
      }
    }

    @Test("three volumes of a namespace share one group in each cycle")
    func together() throws {
      try TwoSites.run { sites in
        let volumes = try makeGroup(sites)
        for cycle in 1...2 {
          #expect(try sites.replicate().count == 3)
          let points = try volumes.map { try sites.checkNewestPointIsLive($0) }
          #expect(Set(points.map(\.group)).count == 1, "cycle \(cycle)")
          try volumes[1].fill(seed: 99, at: 2 * .mebibyte, count: 1 * .mebibyte)
        }
      }
    }

    @Test("one failing member fails the group by name, and no member gets a point")
    func oneFails() throws {
      try TwoSites.run { sites in
        let volumes = try makeGroup(sites)
        try sites.replicate()
        let before = try volumes.map { try sites.target.points($0.name) }
        for volume in volumes { try volume.fill(seed: 8, count: 1 * .mebibyte) }
        try Command.check("mv", volumes[1].path, volumes[1].path + ".away")
        _ = try sites.replicateAndFail(mentioning: "log.img", "shop/log")
        #expect(try volumes.map { try sites.target.points($0.name) } == before)
        try Command.check("mv", volumes[1].path + ".away", volumes[1].path)
        try sites.replicate()
        let points = try volumes.map { try sites.checkNewestPointIsLive($0) }
        #expect(Set(points.map(\.group)).count == 1)
      }
    }

    @Test("a target killed while the group is sealed has all of it or nothing", arguments: [31, 32, 33] as [UInt64])
    func killedWhileSealing(seed: UInt64) throws {
      try TwoSites.run { sites in
        let volumes = try makeGroup(sites)
        try sites.replicate()
        var random = SeededGenerator(seed: seed)
        for volume in volumes { try volume.fill(seed: seed, count: 64 * .kibibyte) }
        let name = try sites.begin()
        usleep(UInt32.random(in: 0...300_000, using: &random))
        sites.target.agent.kill()
        // The source would commit again while the members are listed one after the other.
        sites.source.agent.kill()
        try sites.target.agent.start()
        let listed = try volumes.map { try sites.target.points($0.name).map(\.group) }
        #expect(Set(listed).count == 1, "the members list the same groups: \(listed)")
        try sites.source.agent.start()
        #expect(try sites.end(of: name).isSuccessful)
        let points = try volumes.map { try sites.checkNewestPointIsLive($0) }
        #expect(Set(points.map(\.group)).count == 1)
      }
    }
  }
}
