import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("The disk of the target's pool, copied at any instant, holds every point that was told to be sealed")
  struct DiskImage {
    @Test("copies before, during and after seals: points are whole, and `recover` finds them")
    func copies() throws {
      let disk = try NestedDisk(megabytes: 800)
      defer { disk.close() }
      let directory = try TemporaryDirectory()
      let source = try Site("alpha", in: directory.path, fileSystem: .xfs)
      let target = try Site("beta", in: directory.path, pool: disk.path)
      defer {
        source.release()
        target.release()
      }
      try source.agent.start()
      try target.agent.start()
      let token = try target.control.check("pair", "token").trimmed
      try source.control.check(
        "pair", "create", "beta", "-n", Site.namespace, "--ip", target.address, "--token", token, "--mode",
        "DisasterRecovery")
      let volume = try source.createVolume("data", size: 16 * .mebibyte)
      var random = SeededGenerator(seed: 41)
      var copies: [(disk: String, promised: [String])] = []
      var digests: [String: String] = [:]
      for cycle in 1...8 {
        try volume.fill(
          seed: random.next(), at: Int.random(in: 0...12, using: &random) * .mebibyte, count: 2 * .mebibyte)
        try source.control.check(
          "create", "migration", "cycle-\(cycle)", "-n", Site.namespace, "-c", "beta", "--namespaces", Site.namespace)
        // Somewhere in the cycle, mostly about the time of its seal.
        usleep(UInt32.random(in: 0...400_000, using: &random))
        copies.append((try disk.copy(), digests.keys.sorted()))
        try eventually("cycle \(cycle) succeeds") {
          try source.control.json(
            MigrationView.self, "get", "migration", "cycle-\(cycle)", "-n", Site.namespace
          ).isSuccessful
        }
        let newest = try target.points("data")[0]
        digests[newest.id] = try Files.digest(volume.path)
        copies.append((try disk.copy(), digests.keys.sorted()))
      }
      target.agent.kill()
      for (number, copy) in copies.enumerated() {
        try disk.mounting(copy.disk) { pool in
          try check(pool, promised: copy.promised, digests: digests, "copy \(number)")
          if number % 5 == 4 { try recover(pool, promised: copy.promised, in: directory.path, number) }
        }
      }
    }

    /// Every point in the pool has its seal and the bytes of its snapshot; those told to the source are there.
    private func check(_ pool: String, promised: [String], digests: [String: String], _ what: String) throws {
      let found = try Command.check("sh", "-c", "ls -d \(pool)/.repl-agent/points/*/*/*/ 2>/dev/null || true")
        .split(separator: "\n").map { $0.split(separator: "/").last.map(String.init) ?? "" }
      for point in promised { #expect(found.contains(point), "\(what) lacks point \(point)") }
      for point in found {
        let image = try Command.check("sh", "-c", "echo \(pool)/.repl-agent/points/*/*/\(point)/image").trimmed
        #expect(Files.exists(image.replacingLast("image", with: "seal")), "\(what): \(point) has no seal")
        // A point in a directory of its own may be newer than what was told: its digest is known from the next copy.
        #expect(try Files.digest(image) == digests[point], "\(what): \(point) is not what was sealed")
      }
    }

    /// An agent with nothing but the pool lists the points and proves them by reading.
    private func recover(_ pool: String, promised: [String], in directory: String, _ number: Int) throws {
      let site = try Site("recovered-\(number)", in: directory, pool: pool, clusterID: "beta")
      defer { site.release() }
      // The node is part of what owns a pool.
      try Command.check("sed", "-i", "s/^node: .*/node: beta-1/", site.agent.configuration)
      let recovered = try site.agent.verb("recover")
      #expect(recovered.status == 0, "\(recovered.summary)")
      try site.agent.start()
      let points = try site.points("data")
      for point in promised { #expect(points.contains { $0.id == point && $0.state == "sealed" }) }
      for point in points {
        let verified: VerifyView = try site.control.json(
          VerifyView.self, "verify", "data", "-n", Site.namespace, "--point", point.id)
        #expect(verified.sides.first { $0.side == "target" }?.equal == true)
      }
    }
  }
}

extension String {
  /// With the last occurrence of a word replaced.
  fileprivate func replacingLast(_ word: String, with other: String) -> String {
    hasSuffix(word) ? String(dropLast(word.count)) + other : self
  }
}
