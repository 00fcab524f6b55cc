import Testing

extension Integration {
  @Suite("Damage and tampering are found, named and repaired")
  struct Damage {
    private func sites(_ options: TwoSites.Options = .init(), _ body: (TwoSites, Volume) throws -> Void) throws {
      try TwoSites.run(.xfs, to: .btrfs, options) { sites in
        let volume = try sites.source.createVolume("data", size: 32 * .mebibyte)
        try volume.fill(seed: 1, count: 24 * .mebibyte)
        try sites.replicate()
        try body(sites, volume)
      }
    }

    @Test("verify of an intact point reads both sides and says equal; --quick reads nothing")
    func intact() throws {
      try sites { sites, volume in
        let full: VerifyView = try sites.source.control.json(VerifyView.self, "verify", "data", "-n", Site.namespace)
        #expect(full.equal)
        #expect(full.sides.count == 2)
        #expect(full.sides.allSatisfy { $0.read && $0.equal })
        let quick: VerifyView = try sites.source.control.json(
          VerifyView.self, "verify", "data", "-n", Site.namespace, "--quick")
        #expect(quick.equal)
        #expect(quick.sides.allSatisfy { !$0.read })
      }
    }

    @Test("verify finds a flipped bit at the target and names the segment")
    func verifyFindsDamage() throws {
      try sites { sites, volume in
        let point = try sites.newestPoint(of: volume)
        try Files.tamper(sites.image(of: point, volume), at: 5 * .mebibyte + 77, bytes: [0x55])
        let result = try sites.source.control.run(["verify", "data", "-n", Site.namespace, "-o", "json"])
        #expect(result.status == 1, "\(result.summary)")
        #expect(result.output.contains("5"), "the segment is named: \(result.output)")
        #expect(try sites.newestPoint(of: volume).state == "suspect")
      }
    }

    @Test("a tampered point is suspect and no base: the next point is right all the same")
    func tamperedIsNoBase() throws {
      try sites { sites, volume in
        let point = try sites.newestPoint(of: volume)
        try Files.tamper(sites.image(of: point, volume), at: 9 * .mebibyte, bytes: [1, 2, 3])
        try volume.fill(seed: 2, count: 1 * .mebibyte)
        let cycle = try sites.replicateOne()
        // The damage is found meanwhile: from then on, and where it is, every other point is doubtful until it was read.
        try eventually("the damage is found, and the new point was read", within: 60) {
          let points = try sites.target.points("data")
          return points.first { $0.id == point.id }?.state == "suspect"
            && points.first { $0.id != point.id }?.state == "sealed"
        }
        // Its state may change once more, when a block of the old point is read; its bytes do not.
        let newest = try sites.newestPoint(of: volume)
        #expect(newest.id != point.id)
        try Files.requireEqual(sites.image(of: newest, volume), sites.twin(of: newest, volume))
        try Files.requireEqual(sites.image(of: newest, volume), volume.path)
        #expect(cycle.changeSource != "reflink" || cycle.fullReason?.isEmpty == false, "the reason is said")
        #expect(try sites.target.points("data").first { $0.id == point.id }?.state == "suspect")
      }
    }

    @Test("a scrub finds damage at the target and the source repairs just that")
    func scrubRepairs() throws {
      var options = TwoSites.Options()
      options.targetExtra = "scrub:\n  period: 2s\n  rate: 1GiB\n"
      options.proxied = true
      try sites(options) { sites, volume in
        let point = try sites.newestPoint(of: volume)
        let before = sites.proxy?.dataBytes ?? 0
        try Files.tamper(sites.image(of: point, volume), at: 7 * .mebibyte, bytes: [0xEE, 0xEE])
        try eventually("the point is repaired", within: 90) {
          (try? Files.requireEqual(sites.image(of: point, volume), sites.twin(of: point, volume))) != nil
        }
        try eventually("the point is sealed again", within: 60) {
          try sites.target.points("data").first { $0.id == point.id }?.state == "sealed"
        }
        #expect((sites.proxy?.dataBytes ?? 0) - before < 4 << 20, "only the damaged segment is shipped")
      }
    }

    @Test("a change of the source's pinned twin is found by its scrub and told")
    func sourceScrubFindsDamage() throws {
      var options = TwoSites.Options()
      options.sourceExtra = "scrub:\n  period: 2s\n  rate: 1GiB\n"
      try sites(options) { sites, volume in
        let point = try sites.newestPoint(of: volume)
        try Files.tamper(sites.twin(of: point, volume), at: 3 * .mebibyte, bytes: [0x11])
        try eventually("an event tells of the mismatch", within: 90) {
          let events = try sites.source.control.run(["get", "events", "-n", Site.namespace, "-o", "json"]).output
          return events.lowercased().contains("scrub") || events.lowercased().contains("suspect")
        }
        try volume.fill(seed: 2, count: 1 * .mebibyte)
        try sites.replicate()
        let newest = try sites.newestPoint(of: volume)
        try Files.requireEqual(sites.image(of: newest, volume), volume.path)
      }
    }
  }
}
