import ReplModel
import Testing

@testable import WireProtocol

@Suite("Bandwidth limits")
struct BandwidthTests {
  private let second: UInt64 = 1_000_000_000

  /// Seconds it takes to send `total` bytes in pieces through a limit.
  private func send(
    _ total: Int, piece: Int, from start: UInt64 = 0, day: Int = 0,
    _ take: (Int, UInt64, Int) -> UInt64
  ) -> Double {
    var now = start
    for _ in 0..<total / piece { now += take(piece, now, day + Int(now / second)) }
    return Double(now - start) / 1e9
  }

  @Test func holdsTheRateOverTime() {
    var bucket = TokenBucket(BandwidthSchedule(bytesPerSecond: 10_000_000))
    let seconds = send(100_000_000, piece: 1 << 20) { bucket.take($0, at: $1, secondOfDay: $2) }
    #expect(abs(seconds - 9.86) < 0.2, "99.6 MB less a burst of 1 MB at 10 MB/s")
  }

  @Test func savesUpNoMoreThanABurst() {
    var bucket = TokenBucket(BandwidthSchedule(bytesPerSecond: 10_000_000))
    #expect(bucket.take(1_000_000, at: 0, secondOfDay: 0) == 0)
    #expect(bucket.take(1_000_000, at: 3600 * second, secondOfDay: 0) == 0)
    #expect(bucket.take(1_000_000, at: 3600 * second, secondOfDay: 0) == 100_000_000)
  }

  @Test func noLimitMeansNoWait() {
    var bucket = TokenBucket(BandwidthSchedule(bytesPerSecond: nil))
    for _ in 0..<100 { #expect(bucket.take(1 << 30, at: 5, secondOfDay: 0) == 0) }
  }

  @Test func windowsOfTheDayCountAndMayCrossMidnight() {
    let schedule = BandwidthSchedule(
      bytesPerSecond: 100,
      windows: [
        BandwidthSchedule.Window(start: 22 * 3600, end: 6 * 3600, bytesPerSecond: nil),
        BandwidthSchedule.Window(start: 12 * 3600, end: 13 * 3600, bytesPerSecond: 7),
      ])
    #expect(schedule.limit(at: 0) == nil)
    #expect(schedule.limit(at: 6 * 3600 - 1) == nil)
    #expect(schedule.limit(at: 6 * 3600) == 100)
    #expect(schedule.limit(at: 12 * 3600) == 7)
    #expect(schedule.limit(at: 13 * 3600) == 100)
    #expect(schedule.limit(at: 86399) == nil)
  }

  @Test func aClockThatStandsOrGoesBackIsNoGift() {
    var bucket = TokenBucket(BandwidthSchedule(bytesPerSecond: 1000))
    _ = bucket.take(100, at: second, secondOfDay: 0)
    let wait = bucket.take(1000, at: 0, secondOfDay: 0)
    #expect(wait == second)
    #expect(bucket.take(Int.max / 2, at: 0, secondOfDay: 0) > 0, "huge debts do not overflow")
  }
}
