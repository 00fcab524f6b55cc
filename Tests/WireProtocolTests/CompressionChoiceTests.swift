import ReplModel
import Testing

@testable import WireProtocol

@Suite("Choice of compression")
struct CompressionChoiceTests {
  /// Runs a stream: nanoseconds per byte of the link and of LZ4, and the ratio of the data; counts compressed chunks.
  private func run(
    _ choice: inout CompressionChoice, chunks: Int, link: Double, cost: Double, ratio: Double
  ) -> Int {
    let size = 1 << 20
    var count = 0
    for _ in 0..<chunks {
      var wire = size
      if choice.shouldCompress() {
        wire = Int(Double(size) * ratio)
        choice.recordCompression(
          rawBytes: size, payloadBytes: wire, nanoseconds: UInt64(Double(size) * cost))
        count += 1
      }
      choice.recordSend(wireBytes: wire, nanoseconds: UInt64(Double(wire) * link))
    }
    return count
  }

  @Test func onAThinLinkCompressionStaysOn() {
    var choice = CompressionChoice()
    #expect(run(&choice, chunks: 1000, link: 80, cost: 1.5, ratio: 0.5) == 1000)
  }

  @Test func onAFastLinkItTurnsItselfOff() {
    var choice = CompressionChoice()
    #expect(run(&choice, chunks: 1000, link: 0.4, cost: 1.5, ratio: 0.5) < 40)
    #expect(!choice.isOn)
  }

  @Test func whatDoesNotShrinkIsHardlyTried() {
    var choice = CompressionChoice()
    #expect(run(&choice, chunks: 1000, link: 80, cost: 0.2, ratio: 1) < 40)
  }

  @Test func itFollowsALinkThatBecomesThin() {
    var choice = CompressionChoice()
    _ = run(&choice, chunks: 500, link: 0.4, cost: 1.5, ratio: 0.4)
    #expect(!choice.isOn)
    #expect(run(&choice, chunks: 500, link: 80, cost: 1.5, ratio: 0.4) > 400)
    #expect(choice.isOn)
  }

  @Test func itFollowsDataThatBecomesCompressible() {
    var choice = CompressionChoice()
    _ = run(&choice, chunks: 500, link: 80, cost: 1.5, ratio: 1)
    #expect(!choice.isOn)
    #expect(run(&choice, chunks: 500, link: 80, cost: 1.5, ratio: 0.4) > 400)
  }

  @Test func nothingMeasuredMeansTry() {
    var choice = CompressionChoice()
    #expect(choice.shouldCompress() == true)
    choice.recordSend(wireBytes: 0, nanoseconds: 5)
    choice.recordCompression(rawBytes: 0, payloadBytes: 0, nanoseconds: 5)
    #expect(choice.linkCost == nil)
    #expect(choice.ratio == nil)
  }
}
