import ReplModel
import Testing

@testable import WireProtocol

@Suite("Frames of Tests/Fixtures/frames/malformed.txt")
struct MalformedFrameTests {
  private func decodeControl(_ frame: [UInt8]) throws {
    let header = try ControlFrameHeader(bytes: Array(frame.prefix(16)))
    guard header.isKnown else { return }
    _ = try ControlRequest(type: header.type, body: Array(frame.dropFirst(16)))
  }

  private func decodeData(_ frame: [UInt8]) throws {
    let limits = StreamLimits(volumeSize: 1 << 30, maxChunk: 256 << 10, codecs: 3)
    try limits.check(try decodedHead(frame))
  }

  @Test func everyOneIsRefusedWithItsReason() throws {
    let frames = try VectorPage.vectors(in: "Tests/Fixtures/frames/malformed.txt")
    #expect(frames.count > 40)
    for (title, frame) in frames {
      let parts = title.split(separator: " ")
      let isControl = title.hasPrefix("control/")
      let found = reason { try isControl ? decodeControl(frame) : decodeData(frame) }
      #expect(found?.description == parts.last.map(String.init), "\(title)")
    }
  }
}
