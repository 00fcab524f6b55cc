import TestSupport
import Testing

extension Integration {
  @Suite("ClusterPairs: how the peer is, and what belongs to each of them")
  struct Pairs {
    @Test("a pair whose peer dies is degraded and says why; it is ready again by itself")
    func deadPeer() throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 8 * .mebibyte)
        try volume.fill(seed: 1, count: 1 * .mebibyte)
        try eventually("the pair is ready") { try state(sites)["storageStatus"]?.text == "Ready" }
        #expect(try state(sites)["remoteStorageId"]?.text == "beta")

        sites.target.agent.kill()
        try eventually("the pair is degraded") { try state(sites)["storageStatus"]?.text == "Degraded" }
        let degraded = try state(sites)
        #expect(degraded["schedulerStatus"]?.text == "Degraded")
        #expect(degraded["reason"]?.text?.isEmpty == false)
        let name = try sites.begin()
        try eventually("a migration says that it waits") {
          try sites.migration(name).reasons.contains("cluster pair storage status is not ready. Status: Degraded")
        }

        // A restart of the source does not make it ready either.
        sites.source.agent.kill()
        try sites.source.agent.start()
        try eventually("the pair is degraded after the restart") {
          try state(sites)["storageStatus"]?.text == "Degraded"
        }
        try sites.target.agent.start()
        try eventually("the pair is ready again") { try state(sites)["storageStatus"]?.text == "Ready" }
        #expect(try state(sites)["reason"]?.text == "")
        #expect(try sites.end(of: name).isSuccessful)
        try sites.checkNewestPointIsLive(volume)
      }
    }

    @Test("two pairs with one peer have their own mode and count to seven by themselves")
    func ownCounts() throws {
      try TwoSites.run { sites in
        try sites.pair("plain", mode: "Default")
        let volume = try sites.source.createVolume("data", size: 8 * .mebibyte)
        try volume.fill(seed: 1, count: 4 * .mebibyte)
        var proofs: [String: [String]] = [:]
        for cycle in 1...7 {
          for pair in [TwoSites.pairName, "plain"] {
            try volume.fill(seed: UInt64(cycle), count: 4096)
            proofs[pair, default: []].append(try replicate(sites, over: pair, name: "\(pair)-\(cycle)"))
          }
        }
        // The volume's 7th Migration is neither pair's; the first of all is full because there is no base.
        #expect(proofs[TwoSites.pairName] == ["full"] + Array(repeating: "delta", count: 6))
        #expect(proofs["plain"] == Array(repeating: "delta", count: 6) + ["full"])
        try sites.checkNewestPointIsLive(volume)

        // One pair goes; the other one stays trusted.
        try sites.source.control.check("pair", "delete", "plain", "-n", Site.namespace)
        try sites.replicate()
      }
    }

    private func state(_ sites: TwoSites) throws -> JSONTree {
      try sites.source.control.object("clusterpair", TwoSites.pairName)?["status"] ?? .null
    }

    /// Proof of one cycle over a pair.
    private func replicate(_ sites: TwoSites, over pair: String, name: String) throws -> String {
      try sites.source.control.check(
        "create", "migration", name, "-n", Site.namespace, "-c", pair, "--namespaces", Site.namespace)
      let result = try sites.end(of: name)
      guard result.isSuccessful else { throw Failure("\(name): \(result.reasons)") }
      return result.volumes.first?.proof ?? ""
    }
  }
}
