import Testing

extension Integration {
  @Suite("Rules that come round: the full seventh, retention")
  struct Policy {
    @Test("every 7th migration of a volume is full unless the pair is for disaster recovery", arguments: [true, false])
    func everySeventh(disasterRecovery: Bool) throws {
      var options = TwoSites.Options()
      options.mode = disasterRecovery ? "DisasterRecovery" : "Default"
      try TwoSites.run(.xfs, to: .btrfs, options) { sites in
        let volume = try sites.source.createVolume("data", size: 8 * .mebibyte)
        try volume.fill(seed: 1, count: 4 * .mebibyte)
        var proofs: [String] = []
        for cycle in 1...8 {
          let progress = try sites.replicateOne()
          proofs.append(progress.proof ?? "")
          if cycle == 7, !disasterRecovery { #expect(progress.fullReason?.isEmpty == false) }
          try volume.fill(seed: UInt64(cycle), count: 4096)
        }
        let full = disasterRecovery ? [0] : [0, 6]
        #expect(proofs.indices.filter { proofs[$0] == "full" } == full)
      }
    }

    @Test("old points go, the newest stay")
    func retention() throws {
      var options = TwoSites.Options()
      options.targetExtra = "retention:\n  count: 3\n  age: 0s\n"
      try TwoSites.run(.xfs, to: .btrfs, options) { sites in
        let volume = try sites.source.createVolume("data", size: 8 * .mebibyte)
        var made: [String] = []
        for cycle in 1...6 {
          try volume.fill(seed: UInt64(cycle), count: 64 * .kibibyte)
          try sites.replicate()
          made.append(try sites.newestPoint(of: volume).id)
        }
        try eventually("three points are left") { try sites.target.points("data").count == 3 }
        #expect(try sites.target.points("data").map(\.id) == made.suffix(3).reversed())
        try eventually("their files are gone too") {
          let names = try Command.check("ls", sites.target.pointsDirectory(of: volume.id, from: "alpha"))
          return made.filter { names.contains($0) } == made.suffix(3)
        }
        try sites.checkNewestPointIsLive(volume)
      }
    }
  }
}
