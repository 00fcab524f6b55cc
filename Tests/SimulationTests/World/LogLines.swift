import Logging
import Synchronization

/// What an agent of the simulation has logged. Any thread may call.
final class LogLines: Sendable {
  /// A line: its message, and its metadata as texts.
  struct Line: Sendable {
    var level: Logger.Level
    var message: String
    var metadata: [String: String]
  }

  private let lines = Mutex<[Line]>([])

  /// Lines of one message.
  func lines(_ message: String) -> [Line] { lines.withLock { $0.filter { $0.message == message } } }

  func clear() { lines.withLock { $0 = [] } }

  /// A logger that keeps its lines here.
  func logger(_ label: String) -> Logger { Logger(label: label) { _ in Handler(lines: self) } }

  private func add(_ line: Line) { lines.withLock { $0.append(line) } }

  private struct Handler: LogHandler {
    let lines: LogLines
    var metadata = Logger.Metadata()
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(
      level: Logger.Level, message: Logger.Message, metadata: Logger.Metadata?, source: String, file: String,
      function: String, line: UInt
    ) {
      let texts = (metadata ?? [:]).mapValues { "\($0)" }
      lines.add(Line(level: level, message: "\(message)", metadata: texts))
    }
  }
}
