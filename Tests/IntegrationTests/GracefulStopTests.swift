import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("SIGTERM ends an agent within 10 seconds and loses nothing")
  struct GracefulStop {
    enum Stopped: String, Sendable, CaseIterable { case source, target }

    @Test("in the middle of a cycle", arguments: Stopped.allCases)
    func midCycle(stopped: Stopped) throws {
      var options = TwoSites.Options()
      options.proxied = true
      try TwoSites.run(options) { sites, proxy in
        let volume = try sites.source.createVolume("data", size: 128 * .mebibyte)
        try volume.fill(seed: 1, count: 8 * .mebibyte)
        try sites.replicate()
        let sealed = try sites.checkNewestPointIsLive(volume)
        let digest = try Files.digest(sites.image(of: sealed, volume))
        try volume.fill(seed: 2, count: 128 * .mebibyte)
        proxy.hold(after: 48 * .mebibyte)
        let name = try sites.begin()
        try eventually("the cycle is under way") { proxy.isHolding }
        let site = site(stopped, sites)
        let began = monotonicSeconds()
        #expect(site.agent.stop(seconds: 12) == 0)
        #expect(monotonicSeconds() - began <= 10)
        proxy.cut()
        proxy.release()
        try site.agent.start()
        #expect(try sites.target.points("data").map(\.id).contains(sealed.id))
        #expect(try Files.digest(sites.image(of: sealed, volume)) == digest)
        #expect(try sites.end(of: name).isSuccessful)
        try sites.checkNewestPointIsLive(volume)
      }
    }

    @Test(
      "at seeded moments of cycles under load: the run goes on, never failed and never cancelled",
      arguments: Stopped.allCases, [31] as [UInt64])
    func anyMoment(stopped: Stopped, seed: UInt64) throws {
      try TwoSites.run { sites in
        let site = site(stopped, sites)
        try sites.disturbedCycles(6, seed: seed, reach: 1) {
          #expect(site.agent.stop(seconds: 12) == 0)
          try site.agent.start()
        }
        #expect(try sites.target.points("data").count >= 3)
      }
    }

    private func site(_ stopped: Stopped, _ sites: TwoSites) -> Site {
      stopped == .source ? sites.source : sites.target
    }
  }
}
