import Testing

extension Integration {
  @Suite("A cut network costs what was in flight")
  struct CutConnections {
    @Test("lines cut every 24 MiB: the cycle ends well and ships little twice")
    func cutAgainAndAgain() throws {
      var options = TwoSites.Options()
      options.proxied = true
      try TwoSites.run(options) { sites, proxy in
        let volume = try sites.source.createVolume("data", size: 128 * .mebibyte)
        try volume.fill(seed: 4, count: 128 * .mebibyte)
        proxy.cut(every: 24 * .mebibyte)
        let name = try sites.begin()
        let result = try sites.end(of: name, within: 180)
        #expect(result.isSuccessful, "\(result.reasons)")
        #expect(proxy.cuts >= 3)
        #expect(proxy.dataBytes < 256 << 20, "cuts must not make it ship everything again")
        try sites.checkNewestPointIsLive(volume)
      }
    }

    @Test("a peer that is away for a while is waited for; the reason is said")
    func peerAway() throws {
      var options = TwoSites.Options()
      options.proxied = true
      try TwoSites.run(options) { sites, proxy in
        let volume = try sites.source.createVolume("data", size: 16 * .mebibyte)
        try volume.fill(seed: 5, count: 8 * .mebibyte)
        try sites.replicate()
        try volume.fill(seed: 6, count: 1 * .mebibyte)
        sites.target.agent.kill()
        let name = try sites.begin()
        try eventually("the status says what it waits for") {
          let view = try sites.migration(name)
          return view.isFinal || view.reasons.contains(sites.proxy?.address ?? "") || view.reasons.contains("beta")
        }
        try sites.target.agent.start()
        if try sites.migration(name).isFinal {
          // It gave up and said why: the next one has to do.
          try sites.replicate(within: 60)
        } else {
          #expect(try sites.end(of: name).isSuccessful)
        }
        try sites.checkNewestPointIsLive(volume)
      }
    }
  }
}

extension TwoSites {
  /// As `run`, for tests that play with the network.
  static func run(_ options: Options, _ body: (TwoSites, Proxy) throws -> Void) throws {
    try run(.xfs, to: .btrfs, options) { sites in
      guard let proxy = sites.proxy else { throw Failure("the test asked for no proxy") }
      try body(sites, proxy)
    }
  }
}
