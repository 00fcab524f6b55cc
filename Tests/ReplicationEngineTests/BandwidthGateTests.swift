import BlockDiff
import Foundation
import ReplModel
import Synchronization
import Testing

@testable import ReplicationEngine

/// What is sent is held back to the limit of the hour.
@Suite struct BandwidthGateTests {
  /// A clock that is moved by whoever sleeps on it.
  private final class Day: Sendable {
    let nanoseconds: Mutex<UInt64>
    init(hour: UInt64) { nanoseconds = Mutex(hour * 3_600_000_000_000) }
    var clock: ElapsedClock {
      ElapsedClock(
        now: { self.nanoseconds.withLock { $0 } }, sleep: { time in self.nanoseconds.withLock { $0 += time } })
    }
    var second: Int { Int(nanoseconds.withLock { $0 } / 1_000_000_000 % 86400) }
  }

  @Test("by night nothing waits, by day what is sent keeps to the limit")
  func windows() {
    let day = Day(hour: 5)
    let schedule = BandwidthSchedule(
      bytesPerSecond: 1 << 20, windows: [.init(start: 22 * 3600, end: 6 * 3600, bytesPerSecond: nil)])
    let gate = BandwidthGate(schedule, clock: day.clock) { day.second }
    for _ in 0..<100 { #expect(gate.spend(1 << 30) == 0) }
    day.nanoseconds.withLock { $0 += 3_600_000_000_000 }
    let began = day.second
    for _ in 0..<600 { gate.spend(1 << 20) }
    #expect((598...600).contains(day.second - began))
  }

  @Test(
    "the time of the day is that of the zone",
    arguments: [("UTC", 3600), ("Europe/Berlin", 7200), ("America/New_York", 72000)])
  func zones(name: String, second: Int) throws {
    let zone = try #require(TimeZone(identifier: name))
    // 01:00 UTC on 2026-01-15.
    #expect(zone.secondOfDay(at: Timestamp(nanoseconds: 1_768_438_800_000_000_000)) == second)
  }
}
