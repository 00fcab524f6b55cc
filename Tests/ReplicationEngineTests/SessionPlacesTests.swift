import Glibc
import ReplModel
import Synchronization
import Testing
import WireTransport

@testable import ReplicationEngine
import Threads

@Suite("Sessions of all runs share the agent's places")
struct SessionPlacesTests {
  private static func run(_ number: UInt64) -> GroupID { GroupID(high: 1, low: number) }

  @Test("There are never more sessions than places")
  func bound() {
    var queue = PlaceQueue(capacity: 2)
    let tickets = (1...4).map { queue.enter(Self.run($0)) }
    let first = tickets.map { queue.take($0) }
    #expect(first == [true, true, false, false])
    queue.giveBack(Self.run(1))
    let (fourth, third) = (queue.take(tickets[3]), queue.take(tickets[2]))
    #expect(!fourth && third, "it is the third's turn")
    #expect(queue.taken == 2)
  }

  @Test("A run of many volumes leaves a place that gets free to a run that has none, though that came later")
  func fairness() {
    var queue = PlaceQueue(capacity: 3)
    let many = (0..<10).map { _ in queue.enter(Self.run(1)) }
    for ticket in many.prefix(3) { _ = queue.take(ticket) }
    #expect(queue.taken == 3)
    let late = queue.enter(Self.run(2))
    let atOnce = queue.take(late)
    #expect(!atOnce)
    queue.giveBack(Self.run(1))
    let (fourth, latecomer) = (queue.take(many[3]), queue.take(late))
    #expect(!fourth && latecomer)
    queue.giveBack(Self.run(1))
    let next = queue.take(many[3])
    #expect(next, "one each: the one that waited longest")
  }

  @Test("Who gives up waiting is nobody's turn any more")
  func givingUp() {
    var queue = PlaceQueue(capacity: 1)
    let (first, second, third) = (queue.enter(Self.run(1)), queue.enter(Self.run(2)), queue.enter(Self.run(3)))
    let atOnce = queue.take(first)
    queue.leave(second)
    queue.giveBack(Self.run(1))
    let then = queue.take(third)
    #expect(atOnce && then)
  }

  @Test("Three runs with threads of their own never exceed the places, and all of them end")
  func threads() throws {
    let places = SessionPlaces(capacity: 2)
    let (active, most, done) = (Counter(), Counter(), Counter())
    var threads: [WorkerThread] = []
    for number in 1...12 {
      threads.append(
        try WorkerThread(name: "session") {
          for _ in 0..<20 {
            try? places.withPlace(for: Self.run(UInt64(number % 3)), check: {}) { () throws(ReplError) in
              most.raise(to: active.add(1))
              sched_yield()
              _ = active.add(-1)
              _ = done.add(1)
            }
          }
        })
    }
    for thread in threads { thread.join() }
    #expect(done.value == 240)
    #expect((1...2).contains(most.value))
    #expect(places.taken == 0)
  }

  @Test("A run that is cancelled while it waits gives up")
  func cancelled() throws {
    let places = SessionPlaces(capacity: 1)
    try places.withPlace(for: Self.run(1), check: {}) { () throws(ReplError) in
      let error = #expect(throws: ReplError.self) {
        try places.withPlace(
          for: Self.run(2),
          check: { () throws(ReplError) in throw ReplError(.cancelled, subject: "run", cause: "cancelled") }
        ) { () throws(ReplError) in }
      }
      #expect(error?.kind == .cancelled)
    }
    #expect(places.taken == 0)
  }
}

/// A number that threads change.
private final class Counter: Sendable {
  private let state = Mutex(0)
  var value: Int { state.withLock { $0 } }
  func add(_ change: Int) -> Int {
    state.withLock {
      $0 += change
      return $0
    }
  }
  func raise(to value: Int) { state.withLock { $0 = max($0, value) } }
}
