import ReplModel
import Testing

@Suite("Text of others on a terminal") struct VisibleTextTests {
  @Test(
    "what would drive a terminal is shown as an escape",
    arguments: [
      ("\u{1B}[2J", "\\x1b[2J"), ("a\rb", "a\\rb"), ("a\r\nb", "a\\r\\nb"), ("\u{0}", "\\x00"), ("\u{7F}", "\\x7f"),
      ("\u{9B}31m", "\\u{9b}31m"), ("\u{202E}txt.exe", "\\u{202e}txt.exe"), ("\u{2066}", "\\u{2066}"),
      ("\u{200F}", "\\u{200f}"), ("\u{2028}", "\\u{2028}"), ("a\tb", "a\\tb"), ("\u{E0041}", "\\u{e0041}"),
    ])
  func hidden(_ text: String, _ shown: String) {
    #expect(VisibleText.escaped(text) == shown)
    #expect(VisibleText.escaped(shown) == shown, "a second time changes nothing")
  }

  @Test("letters of all scripts stay", arguments: ["Grüße", "データ", "نص", "a\\b", "é", "💾"])
  func visible(_ text: String) {
    #expect(VisibleText.escaped(text) == text)
  }

  @Test("several lines keep their breaks and tabs, and nothing else")
  func lines() {
    #expect(VisibleText.escapedLines("a\n\tb\r\u{1B}") == "a\n\tb\\r\\x1b")
  }

  @Test("no control character is forgotten")
  func all() {
    for value in Array(UInt32(0)..<0x20) + Array(0x7F..<0xA0) + Array(0x202A...0x202E) + Array(0x2066...0x2069) {
      let scalar = Unicode.Scalar(value) ?? " "
      let shown = VisibleText.escaped(String(Character(scalar)))
      #expect(shown.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value < 0x7F }, "\(value)")
    }
  }
}
