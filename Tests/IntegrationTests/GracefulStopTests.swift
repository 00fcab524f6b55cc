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
        try volume.fill(seed: 2, count: 128 * .mebibyte)
        proxy.hold(after: 48 * .mebibyte)
        let name = try sites.begin()
        try eventually("the cycle is under way") { proxy.isHolding }
        let site = stopped == .source ? sites.source : sites.target
        let began = monotonicSeconds()
        #expect(site.agent.stop(seconds: 12) == 0)
        #expect(monotonicSeconds() - began <= 10)
        proxy.cut()
        proxy.release()
        try site.agent.start()
        #expect(try sites.target.points("data").map(\.id).contains(sealed.id))
        #expect(try sites.end(of: name).isSuccessful)
        try sites.checkNewestPointIsLive(volume)
      }
    }

    @Test(
      "at seeded moments of cycles under load: the run goes on, never failed and never cancelled",
      arguments: [31] as [UInt64])
    func anyMoment(seed: UInt64) throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 64 * .mebibyte)
        try volume.fill(seed: seed, count: 32 * .mebibyte)
        let began = monotonicSeconds()
        try sites.replicate()
        let usual = monotonicSeconds() - began
        var random = SeededGenerator(seed: seed)
        for stop in 1...6 {
          try volume.fill(seed: random.next(), at: Int.random(in: 0...40, using: &random) * .mebibyte, count: 24 << 20)
          let name = try sites.begin()
          // The moment itself is what is tested here: anywhere in a cycle.
          usleep(UInt32(usual * 1e6 * Double.random(in: 0...1, using: &random)))
          #expect(sites.source.agent.stop(seconds: 12) == 0)
          try sites.source.agent.start()
          let result = try sites.end(of: name)
          #expect(result.isSuccessful, "seed \(seed), stop \(stop): \(result.reasons)")
        }
        #expect(try sites.target.points("data").count >= 3)
        try sites.checkNewestPointIsLive(volume)
      }
    }
  }
}
