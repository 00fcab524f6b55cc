import ReplModel
import Threads

/// The places in which the sessions of all runs ship: the limits are the agent's, however many runs there are.
///
/// A place that gets free goes to the run that has fewest, of those to the one that has waited longest: every run gets on.
/// Any thread may call; waiting blocks.
final class SessionPlaces: Sendable {
  private let queue: Monitor<PlaceQueue>

  /// - Parameter capacity: sessions that ship at once, at least 1.
  init(capacity: Int) { queue = Monitor(PlaceQueue(capacity: capacity)) }

  /// Places that are taken.
  var taken: Int { queue.look { $0.taken } }

  /// Runs `body` in a place.
  ///
  /// - Parameters:
  ///   - run: who the place is for.
  ///   - check: called while waiting, a few times a second; throws to give up.
  func withPlace<Value>(
    for run: GroupID, check: () throws(ReplError) -> Void, _ body: () throws(ReplError) -> Value
  ) throws(ReplError) -> Value {
    let ticket = queue.change { $0.enter(run) }
    while queue.wait(until: .after(.milliseconds(200)), { $0.take(ticket) ? true : nil }) == nil {
      do throws(ReplError) { try check() } catch {
        queue.change { $0.leave(ticket) }
        throw error
      }
    }
    defer { queue.change { $0.giveBack(run) } }
    return try body()
  }
}

/// Who waits for a place and who gets the next one. A value.
struct PlaceQueue: Sendable {
  private let capacity: Int
  private var held: [GroupID: Int] = [:]
  /// In the order they came.
  private var waiting: [(ticket: UInt64, run: GroupID)] = []
  private var lastTicket: UInt64 = 0

  init(capacity: Int) { self.capacity = max(1, capacity) }

  var taken: Int { held.values.reduce(0, +) }

  mutating func enter(_ run: GroupID) -> UInt64 {
    lastTicket += 1
    waiting.append((lastTicket, run))
    return lastTicket
  }

  /// Takes a place if one is free and it is the turn of the ticket.
  mutating func take(_ ticket: UInt64) -> Bool {
    // Of equals `min` gives the first: the one that has waited longest.
    guard taken < capacity, let next = waiting.min(by: { held[$0.run, default: 0] < held[$1.run, default: 0] }),
      next.ticket == ticket
    else { return false }
    leave(ticket)
    held[next.run, default: 0] += 1
    return true
  }

  mutating func leave(_ ticket: UInt64) { waiting.removeAll { $0.ticket == ticket } }

  mutating func giveBack(_ run: GroupID) {
    let rest = held[run, default: 0] - 1
    held[run] = rest > 0 ? rest : nil
  }
}
