import BlockDiff
import TestSupport
import Testing

@Suite struct RateLimiterTests {
  @Test func spendsNoMoreThanTheRate() {
    let clock = ManualClock()
    let limiter = RateLimiter(bytesPerSecond: 1 << 20, clock: clock.clock)
    for _ in 0..<11 { limiter.spend(1 << 20) }
    #expect(clock.sleptNanoseconds == 10_000_000_000)
  }

  @Test func idleTimeIsNotSavedUp() {
    let clock = ManualClock()
    let limiter = RateLimiter(bytesPerSecond: 1000, clock: clock.clock)
    clock.advance(nanoseconds: 3_600_000_000_000)
    for _ in 0..<3 { limiter.spend(1000) }
    #expect(clock.sleptNanoseconds == 2_000_000_000)
  }

  @Test func zeroMeansNoLimit() {
    let clock = ManualClock()
    let limiter = RateLimiter(bytesPerSecond: 0, clock: clock.clock)
    for _ in 0..<100 { limiter.spend(1 << 40) }
    #expect(clock.sleptNanoseconds == 0)
  }
}
