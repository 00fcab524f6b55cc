import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("Volumes, pairs and migrations come and go; data stays")
  struct Lifecycle {
    @Test("two migrations of one volume at the same time both end well")
    func overlapping() throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 64 * .mebibyte)
        try volume.fill(seed: 1, count: 48 * .mebibyte)
        let names = try (0..<3).map { _ in try sites.begin() }
        for name in names {
          let result = try sites.end(of: name)
          #expect(result.isSuccessful, "\(name): \(result.reasons)")
        }
        try sites.checkNewestPointIsLive(volume)
      }
    }

    @Test("volumes of several namespaces are shipped at the same time")
    func severalNamespaces() throws {
      try TwoSites.run { sites in
        let spaces = ["shop", "bank", "mill"]
        var volumes: [Volume] = []
        for space in spaces {
          if space != "shop" {
            let token = try sites.target.control.check("pair", "token").trimmed
            try sites.source.control.check(
              "pair", "create", "beta", "-n", space, "--ip", sites.target.address, "--token", token)
          }
          let volume = try sites.source.createVolume("data", size: 48 * .mebibyte, namespace: space)
          try volume.fill(seed: UInt64(space.utf8.first ?? 0), count: 32 * .mebibyte)
          volumes.append(volume)
        }
        for space in spaces {
          try sites.source.control.check(
            "create", "migration", "all", "-n", space, "-c", "beta", "--namespaces", space)
        }
        for (space, volume) in zip(spaces, volumes) {
          try eventually("the migration of \(space) succeeds") {
            try sites.source.control.json(MigrationView.self, "get", "migration", "all", "-n", space).isSuccessful
          }
          let points = try sites.target.points("data", namespace: space)
          #expect(points.count == 1)
          for point in points { try Files.requireEqual(sites.image(of: point, volume), volume.path) }
        }
      }
    }

    @Test("a migration taken back in the middle leaves nothing half done, and the next one goes on from there")
    func cancelled() throws {
      var options = TwoSites.Options()
      options.proxied = true
      try TwoSites.run(options) { sites, proxy in
        let volume = try sites.source.createVolume("data", size: 128 * .mebibyte)
        try volume.fill(seed: 1, count: 1 * .mebibyte)
        try sites.replicate()
        let old = try sites.checkNewestPointIsLive(volume)
        try volume.fill(seed: 2, count: 128 * .mebibyte)
        proxy.hold(after: 64 * .mebibyte)
        let name = try sites.begin()
        try eventually("half of it is shipped") { proxy.isHolding }
        try sites.source.control.check("delete", "migration", name, "-n", Site.namespace, "--no-wait")
        proxy.release()
        try eventually("the migration is gone") {
          try sites.source.control.run(["get", "migration", name, "-n", Site.namespace]).status == 3
        }
        #expect(try sites.target.points("data").map(\.id) == [old.id])
        try sites.replicate()
        try sites.checkNewestPointIsLive(volume)
      }
    }

    @Test("a volume made again under an old name is a new one; the old points stay")
    func sameNameAgain() throws {
      try TwoSites.run { sites in
        let first = try sites.source.createVolume("data", size: 8 * .mebibyte)
        try first.fill(seed: 1, count: 8 * .mebibyte)
        try sites.replicate()
        let old = try sites.checkNewestPointIsLive(first)
        let digest = try Files.digest(sites.image(of: old, first))

        let unconfirmed = try sites.source.control.run(["volume", "delete", "data", "-n", Site.namespace, "--data"])
        #expect(unconfirmed.status != 0, "deleting data asks for the name")
        #expect(Files.exists(first.path))
        try sites.source.control.check("volume", "delete", "data", "-n", Site.namespace)
        #expect(Files.exists(first.path), "the live file stays")
        try Command.check("mv", first.path, first.path + ".old")

        let second = try sites.source.createVolume("data", size: 4 * .mebibyte)
        #expect(second.id != first.id)
        try second.fill(seed: 2, count: 4 * .mebibyte)
        let cycle = try sites.replicateOne()
        #expect(cycle.proof == "full")
        let points = try sites.target.points("data")
        let newest = points.first { $0.state == "sealed" && $0.sizeBytes == 4 << 20 }
        guard let newest else { throw Failure("no point of the new volume: \(points)") }
        try Files.requireEqual(sites.image(of: newest, second), second.path)
        #expect(try Files.digest(sites.image(of: old, first)) == digest)
      }
    }

    @Test("a volume in use by a loop device or a process is not deleted; the holder is named")
    func inUse() throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 8 * .mebibyte)
        let loop = try LoopDevice(volume.path)
        let delete = ["volume", "delete", "data", "-n", Site.namespace, "--data", "--confirm", "data"]
        let held = try sites.source.control.run(delete)
        #expect(held.status == 4, "\(held.summary)")
        #expect(held.errors.contains(loop.path), "the holder is named: \(held.errors)")
        loop.detach()
        let file = try OpenFile(volume.path, O_RDWR)
        let open = try sites.source.control.run(delete)
        #expect(open.status == 4, "\(open.summary)")
        #expect(open.errors.contains("\(getpid())"), "the process is named: \(open.errors)")
        #expect(Files.exists(volume.path))
        withExtendedLifetime(file) {}
      }
    }

    @Test("a pair ended and made again goes on with increments")
    func pairedAgain() throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 32 * .mebibyte)
        try volume.fill(seed: 1, count: 16 * .mebibyte)
        try sites.replicate()
        try sites.source.control.check("pair", "delete", TwoSites.pairName, "-n", Site.namespace)
        #expect(try sites.target.points("data").count == 1, "points outlive the pair")
        try sites.pair()
        try volume.fill(seed: 2, count: 1 * .mebibyte)
        let cycle = try sites.replicateOne()
        #expect(cycle.changeSource == "reflink")
        #expect(cycle.bytesChanged == 1 << 20)
        try sites.checkNewestPointIsLive(volume)
      }
    }
  }
}
