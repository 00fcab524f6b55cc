import Testing

extension Integration {
  @Suite("The pools describe themselves: a lost database is rebuilt from them")
  struct DatabaseLost {
    @Test("`recover` lists the same points, and they serve as bases again")
    func recover() throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 32 * .mebibyte)
        try volume.fill(seed: 1, count: 16 * .mebibyte)
        try sites.replicate()
        try volume.fill(seed: 2, count: 1 * .mebibyte)
        try sites.replicate()
        let before = try sites.target.points("data")
        #expect(sites.target.agent.stop() == 0)
        for name in ["agent.db", "agent.db-wal", "agent.db-shm"] {
          try Command.check("rm", "-f", "\(sites.target.stateDirectory)/\(name)")
        }
        let recovered = try sites.target.agent.verb("recover")
        #expect(recovered.status == 0, "\(recovered.summary)")
        try sites.target.agent.start()
        let after = try sites.target.points("data")
        #expect(after.map(\.id) == before.map(\.id))
        #expect(after.map(\.fingerprint) == before.map(\.fingerprint))
        #expect(after.map(\.generation) == before.map(\.generation))

        // Trust was part of what is lost; pairing again is all it takes.
        try sites.pair("again")
        try volume.fill(seed: 3, count: 1 * .mebibyte)
        let name = "after-recover"
        try sites.source.control.check(
          "create", "migration", name, "-n", Site.namespace, "-c", "again", "--namespaces", Site.namespace)
        let result = try sites.end(of: name)
        #expect(result.isSuccessful, "\(result.reasons)")
        #expect(result.volumes.first?.bytesChanged ?? .max <= 1 << 20)
        try sites.checkNewestPointIsLive(volume)
      }
    }
  }
}
