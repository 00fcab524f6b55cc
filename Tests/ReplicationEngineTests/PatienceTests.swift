import ReplModel
import Testing

@testable import ReplicationEngine

@Suite("How long a session goes on trying")
struct PatienceTests {
  private func expect(
    _ patience: inout Patience, _ done: UInt64, _ again: Bool, _ at: SourceLocation = #_sourceLocation
  ) {
    let found = patience.mayTryAgain(done: done)
    #expect(found == again, sourceLocation: at)
  }

  @Test("An attempt of hours that failed may be made again: its length does not count")
  func longAttempt() {
    let clock = TestClock()
    var patience = Patience(clock: clock)
    clock.advance(seconds: 7200)
    expect(&patience, 0, true)
    clock.advance(seconds: 599)
    expect(&patience, 0, true)
    clock.advance(seconds: 1)
    expect(&patience, 0, false)
  }

  @Test("What the target has durable is progress, and begins the time anew")
  func progress() {
    let clock = TestClock()
    var patience = Patience(clock: clock)
    for done in 1...20 as ClosedRange<UInt64> {
      clock.advance(seconds: 500)
      expect(&patience, done << 20, true)
    }
    let pause = patience.nextPause()
    #expect(pause == 0.25)
  }

  @Test("The same again and again is none")
  func standstill() {
    let clock = TestClock()
    var patience = Patience(clock: clock)
    expect(&patience, 5, true)
    for _ in 1...5 {
      clock.advance(seconds: 100)
      expect(&patience, 5, true)
    }
    clock.advance(seconds: 100)
    expect(&patience, 5, false)
  }
}
