import Logging
import Threads

/// Logs what others cause without letting them fill the log: the first lines of a minute as they are, then one line with the
/// number of those that were left out. Any thread may call.
final class ThrottledLog: Sendable {
  /// Lines a minute.
  static let burst = 5
  /// Seconds.
  static let window = 60.0

  private struct Window {
    var began = -Double.infinity
    var written = 0
    var leftOut = 0
  }

  private let logger: Logger
  private let message: String
  private let ticks: @Sendable () -> Double
  private let window = Locked(Window())

  /// - Parameter ticks: monotonic seconds.
  init(_ message: String, logger: Logger, ticks: @escaping @Sendable () -> Double) {
    self.message = message
    self.logger = logger
    self.ticks = ticks
  }

  func log(_ metadata: Logger.Metadata) {
    flush()
    let isWritten = window.withLock { window in
      guard window.written < Self.burst else {
        window.leftOut += 1
        return false
      }
      window.written += 1
      return true
    }
    if isWritten { logger.warning("\(message)", metadata: metadata) }
  }

  /// Tells how many lines were left out, once their minute is over. Called now and then.
  func flush() {
    let now = ticks()
    let leftOut = window.withLock { window in
      guard now - window.began >= Self.window else { return 0 }
      defer { window = Window(began: now) }
      return window.leftOut
    }
    if leftOut > 0 { logger.warning("\(message): \(leftOut) more in a minute") }
  }
}

/// One throttled log for each peer: what one does hides nothing of another.
struct PeerLogs: Sendable {
  private let logs: PerPeer<ThrottledLog>

  init(_ message: String, logger: Logger, ticks: @escaping @Sendable () -> Double) {
    logs = PerPeer { ThrottledLog(message, logger: logger, ticks: ticks) }
  }

  func log(_ peer: String, reason: String) { logs[peer].log(["peer": "\(peer)", "reason": "\(reason)"]) }

  func flush() { for log in logs.all { log.flush() } }
}
