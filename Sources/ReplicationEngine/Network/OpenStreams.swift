import ReplModel
import Synchronization
import WireTransport

/// The data connections to one peer that are open, so that they end with the trust in it, or with the agent. Any thread
/// may call.
final class OpenStreams: Sendable {
  private struct Entry: Sendable {
    weak var connection: TLSConnection?
  }

  private let state = Mutex<(entries: [Entry], end: ReplError?)>(([], nil))

  /// - Throws: why there are no connections any more.
  func add(_ connection: TLSConnection) throws(ReplError) {
    let end = state.withLock { state in
      state.entries.removeAll { $0.connection == nil }
      if state.end == nil { state.entries.append(Entry(connection: connection)) }
      return state.end
    }
    if let end { throw end }
  }

  /// Ends all of them, and lets none come any more.
  func end(_ reason: ReplError) {
    let entries = state.withLock { state in
      state.end = reason
      defer { state.entries = [] }
      return state.entries
    }
    for entry in entries { entry.connection?.cancel() }
  }
}
