import Foundation

/// Where the loopback listener of the API is to be: `api.listen` of the configuration.
enum LoopbackListen: Equatable, Sendable {
  case off
  /// Both addresses and a free port, the same again after a restart where possible.
  case automatic
  case fixed(addresses: [String], port: UInt16)

  static let expected = "127.0.0.1:PORT, [::1]:PORT, localhost:PORT or off"

  /// Reads the configured text, empty for the default; nil for what is not of the loopback interface.
  init?(_ text: String) {
    switch text {
    case "": self = .automatic
    case "off": self = .off
    default:
      guard let colon = text.lastIndex(of: ":"), let port = Self.port(text[text.index(after: colon)...]) else {
        return nil
      }
      switch text[..<colon] {
      case "127.0.0.1": self = .fixed(addresses: ["127.0.0.1"], port: port)
      case "[::1]": self = .fixed(addresses: ["::1"], port: port)
      case "localhost": self = .fixed(addresses: ["127.0.0.1", "::1"], port: port)
      default: return nil
      }
    }
  }

  private static func port(_ text: Substring) -> UInt16? {
    guard text.utf8.allSatisfy({ (48...57).contains($0) }), let port = UInt16(text), port > 0 else { return nil }
    return port
  }
}

/// The port that was used last, kept so that a kubeconfig stays good over restarts.
struct PortFile: Sendable {
  var path: String

  /// Nil when there is none or it cannot be read: another port does as well.
  func read() -> UInt16? {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
    return UInt16(text.trimmingCharacters(in: .whitespacesAndNewlines))
  }

  func write(_ port: UInt16) throws {
    try Data("\(port)\n".utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
  }
}
