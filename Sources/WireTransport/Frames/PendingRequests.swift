import ReplModel
import Threads

/// Own requests that wait for their replies, by request id.
final class PendingRequests: Sendable {
  private enum Entry {
    case waiting
    case answered(FrameReply)
  }

  private struct State {
    var nextID: UInt32 = 1
    var entries: [UInt32: Entry] = [:]
    var closed: ReplError?
  }

  private let limit: Int
  private let state = Monitor(State())

  init(limit: Int) { self.limit = max(1, limit) }

  /// Reserves an id.
  ///
  /// - Throws: why the channel is closed, or `.transient` when too many are in flight.
  func begin(subject: String) throws(ReplError) -> UInt32 {
    let outcome = state.change { state -> Result<UInt32, ReplError> in
      if let closed = state.closed { return .failure(closed) }
      guard state.entries.count < limit else {
        return .failure(
          ReplError(.transient, subject: subject, cause: "\(limit) requests are in flight already"))
      }
      // After four thousand million requests ids come again; 0 is never one.
      while state.nextID == 0 || state.entries[state.nextID] != nil { state.nextID &+= 1 }
      defer { state.nextID &+= 1 }
      state.entries[state.nextID] = .waiting
      return .success(state.nextID)
    }
    return try outcome.get()
  }

  /// Waits for the reply and gives the id back.
  func wait(for id: UInt32, until deadline: Deadline, subject: String) throws(ReplError) -> FrameReply {
    let outcome = state.wait(until: deadline) { state -> Result<FrameReply, ReplError>? in
      if case .answered(let reply)? = state.entries[id] { return .success(reply) }
      return state.closed.map { .failure($0) }
    }
    forget(id)
    guard let outcome else { throw ReplError(.transient, subject: subject, cause: "no reply in time") }
    return try outcome.get()
  }

  func forget(_ id: UInt32) { state.change { _ = $0.entries.removeValue(forKey: id) } }

  /// Whether somebody waits for the reply with this id.
  func isWaiting(for id: UInt32) -> Bool { state.look { $0.entries[id] != nil } }

  /// A reply to nothing that waits, such as one that comes too late, is dropped.
  func complete(_ id: UInt32, with reply: FrameReply) {
    state.change { state in
      guard state.entries[id] != nil else { return }
      state.entries[id] = .answered(reply)
    }
  }

  /// Fails all that wait and all that come; false when it was closed before.
  func close(_ error: ReplError) -> Bool {
    state.change { state in
      guard state.closed == nil else { return false }
      state.closed = error
      return true
    }
  }

  var closed: ReplError? { state.look(\.closed) }
}
