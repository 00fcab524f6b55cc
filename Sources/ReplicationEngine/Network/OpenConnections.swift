import ReplModel
import WireTransport
import Threads

/// The connections to one peer that are open or being made, control and data, so that they end with the trust in it, or
/// with the agent. Any thread may call.
final class OpenConnections: Sendable {
  private struct Entry: Sendable {
    /// A connection keeps its signal for as long as it lives.
    weak var signal: CancelSignal?
  }

  private let state = Locked<(entries: [Entry], ended: ReplError?)>(([], nil))

  /// Why there are no connections any more; nil while there may be.
  var ended: ReplError? { state.withLock { $0.ended } }

  /// The signal a new connection is to be made with.
  ///
  /// - Throws: why there are no connections any more.
  func signal() throws(ReplError) -> CancelSignal {
    try state.withLock { (state) throws(ReplError) in
      if let ended = state.ended { throw ended }
      let signal = CancelSignal()
      state.entries.removeAll { $0.signal == nil }
      state.entries.append(Entry(signal: signal))
      return signal
    }
  }

  /// Lets no more connections come; those that are there may still be closed in order.
  func refuse(_ reason: ReplError) { state.withLock { $0.ended = reason } }

  /// Ends all of them.
  func cancel() {
    let entries = state.withLock { state in
      defer { state.entries = [] }
      return state.entries
    }
    for entry in entries { entry.signal?.cancel() }
  }
}
