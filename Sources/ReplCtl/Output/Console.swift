import Glibc
import ReplModel
import Synchronization

/// Standard output and error, written whole; a failure to write shows in the exit code.
///
/// What peers, volumes and objects are called is not ours: text for people goes through ``VisibleText`` here, so that none of
/// it can drive the terminal. Documents for programs are exact; JSON and YAML have escapes of their own.
final class Console: Sendable {
  static let standard = Console()

  private let failed = Mutex(false)

  /// Whether standard output is a terminal.
  var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// Text for people, with a line break at its end.
  func line(_ text: String) { document(VisibleText.escapedLines(text) + "\n") }

  /// Text for people, without a line break.
  func write(_ text: String) { document(VisibleText.escapedLines(text)) }

  /// Draws a line of a terminal anew.
  func redraw(_ text: String) { document("\r\u{1B}[K" + VisibleText.escaped(text)) }

  /// Text for programs, as it is.
  func document(_ text: String) {
    if !Self.write(text, STDOUT_FILENO) { failed.withLock { $0 = true } }
  }

  static func error(_ text: String) { _ = write(VisibleText.escapedLines(text) + "\n", STDERR_FILENO) }

  /// Exit code of a command that succeeded: 1 if its output could not be written.
  func finish() -> Int32 { failed.withLock { $0 } ? Failure.Code.failed.rawValue : 0 }

  private static func write(_ text: String, _ descriptor: Int32) -> Bool {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      bytes = bytes.dropFirst(count)
    }
    return true
  }
}
