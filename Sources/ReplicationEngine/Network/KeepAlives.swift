import BlockDiff
import Threads

/// Keeps the data streams to one peer alive while nothing is sent on them. Any thread may call.
final class KeepAlives: Sendable {
  /// Seconds between two looks at the streams.
  private static let interval = 5.0

  private struct Entry: Sendable {
    weak var sender: DataStreamSender?
  }

  private struct State {
    var entries: [Entry] = []
    var isRunning = false
  }

  private let state = Locked(State())

  /// Has a stream kept alive as long as somebody refers to it.
  func add(_ sender: DataStreamSender) {
    let needsThread = state.withLock { state in
      state.entries.append(Entry(sender: sender))
      defer { state.isRunning = true }
      return !state.isRunning
    }
    guard needsThread else { return }
    // Without a thread to be had the next stream tries again.
    if (try? WorkerThread(name: "keep-alive", { [weak self] in Self.run { self } })) == nil {
      state.withLock { $0.isRunning = false }
    }
  }

  private static func run(_ keepAlives: () -> KeepAlives?) {
    let clock = SystemClock()
    while let open = keepAlives()?.openSenders() {
      for sender in open { sender.keepAlive(at: MonotonicClock.now()) }
      clock.sleep(seconds: interval)
    }
  }

  /// Nil when there are none: then nobody keeps them any more.
  private func openSenders() -> [DataStreamSender]? {
    state.withLock { state in
      state.entries.removeAll { $0.sender == nil }
      let open = state.entries.compactMap(\.sender)
      state.isRunning = !open.isEmpty
      return open.isEmpty ? nil : open
    }
  }
}
