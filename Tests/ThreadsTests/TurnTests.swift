import TestSupport
import Testing
import Threads

/// One at a time, over what takes long.
@Suite struct TurnTests {
  @Test("two threads that count in turn lose nothing", .timeLimit(.minutes(1)))
  func oneAtATime() throws {
    let turn = Turn(0)
    let threads = try (0..<4).map { _ in
      try WorkerThread(name: "count") {
        for _ in 0..<1000 { turn.take { $0 += 1 } }
      }
    }
    for thread in threads { thread.join() }
    #expect(turn.take { $0 } == 4000)
  }

  @Test("who does not want to wait, or not for long, goes without; the next one has it", .timeLimit(.minutes(1)))
  func deadline() throws {
    let turn = Turn("free")
    let (inside, release) = (BoundedQueue<Void>(capacity: 1), BoundedQueue<Void>(capacity: 1))
    let thread = try WorkerThread(name: "holder") {
      turn.take { state in
        _ = inside.tryPut(())
        _ = release.take()
        state = "used"
      }
    }
    #expect(inside.take(deadline: .after(patience)) != nil)
    #expect(turn.take(until: .after(.zero)) { $0 } == nil)
    #expect(turn.take(until: .after(.milliseconds(5))) { $0 } == nil)
    _ = release.tryPut(())
    thread.join()
    #expect(turn.take(until: .after(.zero)) { $0 } == "used")
  }

  private struct Failure: Error {}

  @Test("an error gives the turn back")
  func error() {
    let turn = Turn(())
    #expect(throws: Failure.self) { try turn.take { _ throws(Failure) in throw Failure() } }
    #expect(turn.take(until: .after(.zero)) { _ in true } == true)
  }
}
