import ReplModel
import Threads

/// Notices steps of the wall clock by comparing it with the monotonic one. Any thread may ask; the more often somebody
/// does, the sooner a step is seen.
final class ClockStepWatch: Sendable {
  private struct State {
    /// Wall clock minus monotonic clock at the last look, in seconds.
    var offset: Double
    /// On the monotonic clock, in seconds.
    var steppedAt: Double?
  }

  private let clock: any EngineClock
  private let startedAt: Double
  private let state: Locked<State>
  /// Seconds between two looks that are no step: clocks are slewed.
  private static let tolerance = 10.0

  init(clock: any EngineClock) {
    self.clock = clock
    startedAt = clock.ticks()
    state = Locked(State(offset: Self.offset(of: clock)))
  }

  /// Elapsed seconds since the last step that was seen; nil when there was none.
  func secondsSinceStep() -> Double? {
    let (offset, ticks) = (Self.offset(of: clock), clock.ticks())
    return state.withLock { state in
      if abs(offset - state.offset) > Self.tolerance { state.steppedAt = ticks }
      state.offset = offset
      return state.steppedAt.map { ticks - $0 }
    }
  }

  /// Elapsed seconds since this watch began: of what was before, nothing is known.
  func secondsSinceStart() -> Double { clock.ticks() - startedAt }

  private static func offset(of clock: any EngineClock) -> Double {
    Double(clock.now().nanoseconds) / 1e9 - clock.ticks()
  }
}
