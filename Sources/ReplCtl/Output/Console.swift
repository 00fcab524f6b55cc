import Glibc
import Synchronization

/// Standard output and error, written whole; a failure to write shows in the exit code.
final class Console: Sendable {
  static let standard = Console()

  private let failed = Mutex(false)

  /// Whether standard output is a terminal.
  var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  func line(_ text: String) { write(text + "\n") }

  func write(_ text: String) {
    if !Self.write(text, STDOUT_FILENO) { failed.withLock { $0 = true } }
  }

  static func error(_ text: String) { _ = write(text + "\n", STDERR_FILENO) }

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
