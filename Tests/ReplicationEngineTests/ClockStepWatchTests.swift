import ReplModel
import Synchronization
import Testing

@testable import ReplicationEngine

/// A wall clock that can be set, over a monotonic one that cannot.
private final class SteppingClock: EngineClock {
  private let state = Mutex((wall: 1_700_000_000.0, ticks: 5.0))

  func pass(seconds: Double) {
    state.withLock { $0 = ($0.wall + seconds, $0.ticks + seconds) }
  }
  func step(seconds: Double) { state.withLock { $0.wall += seconds } }
  func now() -> Timestamp { Timestamp(nanoseconds: Int64(state.withLock { $0.wall } * 1e9)) }
  func ticks() -> Double { state.withLock { $0.ticks } }
  func sleep(seconds: Double) { pass(seconds: seconds) }
}

@Suite("Steps of the wall clock are noticed")
struct ClockStepWatchTests {
  @Test("time that passes is no step")
  func passing() {
    let clock = SteppingClock()
    let watch = ClockStepWatch(clock: clock)
    clock.pass(seconds: 86_400)
    #expect(watch.secondsSinceStep() == nil)
  }

  @Test("a step in either direction counts from when it was seen", arguments: [-3600.0, 3600.0])
  func step(seconds: Double) throws {
    let clock = SteppingClock()
    let watch = ClockStepWatch(clock: clock)
    clock.step(seconds: seconds)
    #expect(watch.secondsSinceStep() == 0)
    clock.pass(seconds: 30)
    let since = try #require(watch.secondsSinceStep())
    #expect(abs(since - 30) < 0.001)
  }

  @Test("time since the start does not step either")
  func start() {
    let clock = SteppingClock()
    let watch = ClockStepWatch(clock: clock)
    clock.pass(seconds: 40)
    clock.step(seconds: 7200)
    #expect(abs(watch.secondsSinceStart() - 40) < 0.001)
  }

  @Test("slewing is no step")
  func slewing() {
    let clock = SteppingClock()
    let watch = ClockStepWatch(clock: clock)
    for _ in 0..<100 {
      clock.pass(seconds: 1)
      clock.step(seconds: 0.5)
      #expect(watch.secondsSinceStep() == nil)
    }
  }
}
