import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

/// Large texts that many hold at once.
@Suite struct SharedTextsTests {
  private func address(_ text: [UInt8]) -> UnsafeRawPointer? { text.withUnsafeBytes { $0.baseAddress } }
  private func text(_ byte: UInt8, _ count: Int = SharedTexts.least) -> [UInt8] { Array(repeating: byte, count: count) }

  @Test("who reads the same text of the same object holds the same memory; another text is another one")
  func shared() {
    let texts = SharedTexts()
    let first = texts.share(text(1), of: "a")
    #expect(address(texts.share(text(1), of: "a")) == address(first))
    #expect(texts.share(text(2), of: "a") == text(2), "what is stored now, not what was")
    #expect(address(texts.share(text(1), of: "b")) != address(first))
  }

  @Test("no more is kept than the bound; what was asked for last stays")
  func bounded() {
    let texts = SharedTexts()
    let million = 1 << 20
    let held = (0..<12).map { texts.share(text(UInt8($0), million), of: "\($0)") }
    #expect(address(texts.share(text(11, million), of: "11")) == address(held[11]))
    #expect(address(texts.share(text(0, million), of: "0")) != address(held[0]))
  }
}
