import ReplModel
import WireProtocol
import Threads

/// What the sessions of a group came to, collected from their threads.
final class Outcomes: Sendable {
  private let slots: Locked<[SenderSession.Held?]>

  init(count: Int) { slots = Locked(Array(repeating: nil, count: count)) }

  func set(_ index: Int, _ outcome: SenderSession.Held) { slots.withLock { $0[index] = outcome } }

  /// All of them, in order.
  func all() throws(ReplError) -> [SenderSession.Held] {
    let found = slots.withLock { $0 }
    let present = found.compactMap { $0 }
    guard present.count == found.count else {
      throw ReplError(.bug, subject: "group", cause: "a session ended without an outcome")
    }
    return present
  }
}
