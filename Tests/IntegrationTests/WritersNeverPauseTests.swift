import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("Writers never pause, and every point is a prefix of what they wrote")
  struct WritersNeverPause {
    /// How often; INTEGRATION_CYCLES asks for longer runs.
    private static let cycles = getenv("INTEGRATION_CYCLES").flatMap { Int(String(cString: $0)) } ?? 6

    @Test(
      "cycles under a constant writer", arguments: WriteMethod.allCases,
      [LoopFileSystem.Kind.xfs, LoopFileSystem.Kind.btrfs])
    func prefix(method: WriteMethod, source: LoopFileSystem.Kind) throws {
      try TwoSites.run(source, to: source == .xfs ? .btrfs : .xfs) { sites in
        let volume = try sites.source.createVolume("data", size: 16 * .mebibyte)
        let writer = try BlockWriter(volume, method: method, seed: 11)
        let checker = PrefixChecker(writer, mayTear: method == .mapped)
        var last: UInt64 = 0
        for cycle in 1...max(1, Self.cycles) {
          let before = writer.written
          try sites.replicate()
          let after = writer.written
          let point = try sites.checkNewestPoint(of: volume)
          let found = try checker.check(sites.image(of: point, volume))
          #expect(found >= last, "cycle \(cycle) went back in time")
          #expect(found <= after + 1)
          // What had reached the file before the cycle was asked for is in its point.
          #expect(found >= before)
          last = found
        }
        #expect(last > 0)
        try writer.stop()
        try sites.replicate()
        let final = try sites.checkNewestPointIsLive(volume)
        #expect(try checker.check(sites.image(of: final, volume)) == writer.written)
      }
    }
  }
}
