import Glibc
import TestSupport
import Testing

extension TwoSites {
  /// Cycles of one volume, each disturbed at a seeded moment: within `reach` of the time that an undisturbed one takes.
  ///
  /// Each run goes on and succeeds, the newest point is the volume, and what was sealed before stays what it was.
  func disturbedCycles(_ count: Int, seed: UInt64, reach: Double, disturb: () throws -> Void) throws {
    let volume = try source.createVolume("data", size: 64 * .mebibyte)
    try volume.fill(seed: seed, count: 32 * .mebibyte)
    let began = monotonicSeconds()
    try replicate()
    let usual = monotonicSeconds() - began
    var random = SeededGenerator(seed: seed)
    var (cycle, inside, reach) = (0, 0, reach)
    while cycle < count || (inside == 0 && cycle < count + 10) {
      cycle += 1
      let sealed = try checkNewestPoint(of: volume)
      let digest = try Files.digest(image(of: sealed, volume))
      try volume.fill(seed: random.next(), at: Int.random(in: 0...40, using: &random) * .mebibyte, count: 24 << 20)
      let name = try begin()
      // The moment itself is what is tested here: anywhere in a cycle, or shortly after it.
      usleep(UInt32(usual * reach * 1e6 * Double.random(in: 0...1, using: &random)))
      // Each disturbance that came too late brings the next ones nearer to the beginning.
      if try migration(name).isFinal { reach /= 2 } else { inside += 1 }
      try disturb()
      let result = try end(of: name)
      #expect(result.isSuccessful, "seed \(seed), cycle \(cycle): \(result.reasons)")
      #expect(try Files.digest(image(of: sealed, volume)) == digest, "seed \(seed), cycle \(cycle): was sealed before")
      try checkNewestPointIsLive(volume)
    }
    #expect(inside > 0, "seed \(seed): all of \(cycle) cycles were over before they were disturbed")
    // Whatever is left lying about, nothing is listed that is not whole.
    for point in try target.points("data") {
      #expect(point.state == "sealed")
      #expect(Files.exists(image(of: point, volume)))
    }
  }
}
