import BlockDiff
import ReplModel
import Synchronization
import WireTransport

/// The data connections to one peer that are open: kept alive while nothing is sent on them, and ended with the trust in
/// the peer, or with the agent. Any thread may call.
final class OpenStreams: Sendable {
  /// Seconds between two looks at the streams.
  private static let interval = 5.0

  private struct Entry: Sendable {
    weak var connection: TLSConnection?
    weak var sender: DataStreamSender?
  }

  private struct State {
    var entries: [Entry] = []
    var end: ReplError?
    var isKept = false
  }

  private let state = Mutex(State())

  /// - Throws: why there are no connections any more.
  func add(_ connection: TLSConnection) throws(ReplError) {
    let end = state.withLock { state in
      state.entries.removeAll { $0.connection == nil }
      if state.end == nil { state.entries.append(Entry(connection: connection)) }
      return state.end
    }
    if let end { throw end }
  }

  /// Has a stream kept alive as long as somebody refers to it.
  func keep(_ sender: DataStreamSender, on connection: TLSConnection) {
    let needsThread = state.withLock { state in
      for index in state.entries.indices where state.entries[index].connection === connection {
        state.entries[index].sender = sender
      }
      defer { state.isKept = true }
      return !state.isKept
    }
    guard needsThread else { return }
    // Without a thread to be had the next stream tries again.
    if (try? WorkerThread(name: "keep-alive", { [weak self] in Self.keepAll { self } })) == nil {
      state.withLock { $0.isKept = false }
    }
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

  private static func keepAll(_ streams: () -> OpenStreams?) {
    let clock = SystemClock()
    while let open = streams()?.openSenders() {
      for sender in open { sender.keepAlive(at: MonotonicClock.now()) }
      clock.sleep(seconds: interval)
    }
  }

  /// Nil when there are none: then nobody keeps them any more.
  private func openSenders() -> [DataStreamSender]? {
    state.withLock { state in
      let open = state.entries.compactMap(\.sender)
      state.isKept = !open.isEmpty
      return open.isEmpty ? nil : open
    }
  }
}
