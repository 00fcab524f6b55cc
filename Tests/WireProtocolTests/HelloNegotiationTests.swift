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
      (Samples.hello(major: 1, cluster: "west"), "west", .unsupportedVersion),
      (Samples.hello(major: 3, cluster: "west"), "west", .unsupportedVersion),
      (Samples.hello(cluster: "west"), "north", .unauthenticated),
      (Samples.hello(cluster: "east"), "east", .unauthenticated),
      (Samples.hello(cluster: "west", maxChunk: 4096), "west", .malformedBody),
    ]
    for (peer, certificate, expected) in cases {
      #expect(reason { _ = try negotiate(own, peer, certificate: certificate) } == expected)
    }
  }

  /// What an operator reads at either end names both versions and the side to update.
  @Test func anotherMajorIsRefusedByName() throws {
    let cases: [(UInt16, String, String)] = [
      (1, "speaks protocol 1, cluster east speaks 2", "update repl-agent there"),
      (3, "speaks protocol 3, cluster east speaks 2", "update repl-agent at cluster east"),
    ]
    for (major, cause, remedy) in cases {
      let refusal = wireError { _ = try negotiate(Samples.hello(), Samples.hello(major: major, cluster: "west")) }
      let error = try Samples.required(refusal).asReplError(subject: "peer west")
      #expect(error == ReplError(.protocolViolation, subject: "peer west", cause: cause, remedy: remedy))
    }
  }

  /// A version 1 peer closes with reason 6 and its own words, in which "this agent" is itself.
  @Test func aCloseByAnotherMajorNamesThePeer() throws {
    let words = ReplError(
      .protocolViolation, subject: "peer east", cause: "speaks protocol version 2.0, this agent speaks 1.0")
    let notice = try CloseNotice(bytes: CloseNotice(reason: .unsupportedVersion, error: words).encode())
    let error = notice.received(from: "peer west")
    #expect(error.subject == "peer west" && error.kind == .protocolViolation)
    #expect(error.cause.hasPrefix("refuses protocol 2, which this agent speaks"))
    #expect(error.remedy == "run the same major version of repl-agent on both sides")
    let ours = WireError.otherMajor(1, at: "east", own: 2)
    #expect(CloseNotice(ours, subject: "peer east").received(from: "peer west").remedy == ours.remedy)
    let other = CloseNotice(reason: .shuttingDown, error: words)
    #expect(other.received(from: "peer west") == words)
  }
}
