import ReplModel
import Testing

@Suite("Texts of others on their way to a log or a terminal")
struct ControlCharactersTests {
  @Test(arguments: [
    ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"), ("one\ntwo\rthree", "one\\ntwo\\rthree"), ("\u{9b}31m", "\\u{9b}31m"),
    ("\u{7f}\0", "\\u{7f}\\u{0}"), ("abc\u{202e}cba", "abc\\u{202e}cba"), ("x\u{2028}y", "x\\u{2028}y"),
  ])
  func escaped(text: String, shown: String) { #expect(ControlCharacters.escaped(text) == shown) }

  @Test(arguments: ["", "plain", "tab\tstays", "Grüße aus Köln", "\u{1F600}", "a \"b\" \\c"])
  func untouched(text: String) { #expect(ControlCharacters.escaped(text) == text) }
}
