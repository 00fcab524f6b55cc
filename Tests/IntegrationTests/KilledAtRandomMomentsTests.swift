import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("An agent killed at any moment loses nothing that was sealed and goes on by itself")
  struct KilledAtRandomMoments {
    enum Victim: String, Sendable, CaseIterable { case source, target, both }

    @Test("SIGKILL at seeded moments of several cycles", arguments: Victim.allCases, [21, 22] as [UInt64])
    func killed(victim: Victim, seed: UInt64) throws {
      try TwoSites.run { sites in
        try sites.disturbedCycles(3, seed: seed, reach: 1.2) {
          for site in victims(of: victim, sites) { site.agent.kill() }
          for site in victims(of: victim, sites) { try site.agent.start() }
        }
      }
    }

    private func victims(of victim: Victim, _ sites: TwoSites) -> [Site] {
      switch victim {
      case .source: [sites.source]
      case .target: [sites.target]
      case .both: [sites.source, sites.target]
      }
    }

    @Test("what was durable at the target is not shipped again", arguments: Victim.allCases)
    func resumes(victim: Victim) throws {
      var options = TwoSites.Options()
      options.proxied = true
      try TwoSites.run(options) { sites, proxy in
        let volume = try sites.source.createVolume("data", size: 256 * .mebibyte)
        try volume.fill(seed: 3, count: 192 * .mebibyte)
        proxy.hold(after: 160 * .mebibyte)
        let name = try sites.begin()
        try eventually("160 MiB are shipped") { proxy.isHolding }
        // At most 64 MiB or one second may be unrecorded: the ledger's promise, with time for the last record.
        usleep(1_500_000)
        for site in victims(of: victim, sites) { site.agent.kill() }
        let before = proxy.dataBytes
        proxy.cut()
        proxy.release()
        for site in victims(of: victim, sites) { try site.agent.start() }
        let result = try sites.end(of: name)
        #expect(result.isSuccessful, "\(result.reasons)")
        try sites.checkNewestPointIsLive(volume)
        let again = proxy.dataBytes - before
        #expect(again < 120 << 20, "shipped \(again >> 20) MiB after the restart, 32 MiB were left")
      }
    }
  }
}
