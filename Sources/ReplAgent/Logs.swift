import Foundation
import Logging
import ReplModel

/// Structured logs: one line an event, to standard error. With `journal` each line begins with the priority that
/// journald reads (sd-daemon(3)); with `json` it is an object; with `text` it has a time for people.
struct StandardErrorLog: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level
  let format: LogFormat
  let label: String

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
    let line: String
    switch format {
    // Names, reasons and addresses come from peers: none of them begins a line, a field or a sequence of a terminal.
    case .journal:
      line = "<\(Self.priority(event.level))>" + VisibleText.escaped("\(event.message)\(Self.fields(all))")
    case .text:
      line = VisibleText.escaped("\(Self.time()) \(event.level) \(label): \(event.message)\(Self.fields(all))")
    case .json: line = Self.json(event, all, label)
    }
    // One write a line: lines of several threads do not mix.
    FileHandle.standardError.write(Data((line + "\n").utf8))
  }

  private static func fields(_ metadata: Logger.Metadata) -> String {
    metadata.sorted { $0.key < $1.key }.map { " \($0.key)=\(quoted("\($0.value)"))" }.joined()
  }

  private static func quoted(_ text: String) -> String {
    text.contains(where: { $0 == " " || $0 == "\"" || $0 == "=" })
      ? "\"" + text.replacing("\"", with: "'") + "\"" : text
  }

  private static func json(_ event: LogEvent, _ metadata: Logger.Metadata, _ label: String) -> String {
    var object: [String: String] = [:]
    for (key, value) in metadata { object[key] = VisibleText.escaped("\(value)") }
    object["time"] = time()
    object["level"] = event.level.rawValue
    object["logger"] = label
    object["message"] = VisibleText.escaped("\(event.message)")
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(object)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }

  private static func time() -> String {
    Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true, timeZone: .gmt))
  }

  private static func priority(_ level: Logger.Level) -> Int {
    switch level {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }
}
