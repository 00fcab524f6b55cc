import ReplModel
import Testing

@testable import WireProtocol

@Suite("Negotiation")
struct HelloNegotiationTests {
  private func negotiate(_ own: Hello, _ peer: Hello, certificate: String = "west") throws(WireError)
    -> HelloNegotiation
  {
    try HelloNegotiation(own: own, peer: peer, authenticatedCluster: certificate)
  }

  @Test func theSmallerLimitsAndCommonFeaturesWin() throws {
    let own = Samples.hello(minor: 4, features: 0b0111, maxChunk: 1 << 20, codecs: 0b0011)
    let peer = Samples.hello(minor: 2, features: 0b1110, cluster: "west", maxChunk: 1 << 18, codecs: 0b1110)
    let result = try negotiate(own, peer)
    #expect(result.minor == 2)
    #expect(result.features == 0b0110)
    #expect(result.maxChunk == 1 << 18)
    #expect(result.codecs == 0b0011, "LZ4, and raw in any case")
    #expect(result.allows(.lz4) && result.allows(.raw))
    #expect(result.peerCluster == "west")
  }

  @Test func bothEndsComeToTheSame() throws {
    var random = SplitMix(seed: 5)
    for _ in 0..<500 {
      let make = { (cluster: String) in
        Samples.hello(
          minor: UInt16(random.below(9)), features: random.next(), cluster: cluster,
          maxChunk: UInt32(65536 + random.below(1 << 22)), codecs: UInt32(random.below(16)))
      }
      let (east, west) = (make("east"), make("west"))
      let one = try negotiate(east, west)
      let other = try negotiate(west, east, certificate: "east")
      #expect(one.maxChunk == other.maxChunk && one.codecs == other.codecs)
      #expect(one.minor == other.minor && one.features == other.features)
      #expect(one.maxChunk.nonzeroBitCount == 1 && WireLimits.chunkSizes.contains(one.maxChunk))
    }
  }

  @Test func refusalsHaveTheirReasons() {
    let own = Samples.hello()
    let cases: [(Hello, String, ReasonCode)] = [
      (Samples.hello(major: 2, cluster: "west"), "west", .unsupportedVersion),
      (Samples.hello(cluster: "west"), "north", .unauthenticated),
      (Samples.hello(cluster: "east"), "east", .unauthenticated),
      (Samples.hello(cluster: "west", maxChunk: 4096), "west", .malformedBody),
    ]
    for (peer, certificate, expected) in cases {
      #expect(reason { _ = try negotiate(own, peer, certificate: certificate) } == expected)
    }
  }
}
