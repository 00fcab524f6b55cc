import APIModel
import Foundation
import Testing
import TestSupport

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

private func at(_ text: String) -> Int64 { Timestamp.seconds(text) ?? 0 }

@Suite("Triggers: when a policy is due")
struct TriggerTests {
  private let daily = SchedulePolicy(daily: KitchenTime(minutes: 22 * 60 + 14))

  private func utc(_ policy: SchedulePolicy) -> Trigger { Trigger(policy: policy, zone: .utc) }

  private func history(_ last: String?, settled: [String] = []) -> Trigger.History {
    Trigger.History(last: last.map(at), settled: Set(settled.map(at)))
  }

  private func zone(_ name: String) throws -> ScheduleZone { try ScheduleZone(named: name) }

  @Test("an interval is due at once when nothing ran, and then after its minutes")
  func interval() {
    let trigger = utc(SchedulePolicy(interval: 60))
    let now = at("2026-03-01T12:00:00Z")
    #expect(trigger.state(.interval, history(nil), now: now) == .due(now))
    let last = history("2026-03-01T11:30:00Z")
    #expect(trigger.state(.interval, last, now: now) == .waiting(until: at("2026-03-01T12:30:00Z")))
    #expect(trigger.state(.interval, last, now: at("2026-03-01T12:30:00Z")) == .due(at("2026-03-01T12:30:00Z")))
  }

  @Test("after hours of downtime an interval is due once, not once per period")
  func downtime() {
    let trigger = utc(SchedulePolicy(interval: 60))
    let now = at("2026-03-01T12:00:00Z")
    guard case .due = trigger.state(.interval, history("2026-03-01T07:00:00Z"), now: now) else {
      Issue.record("not due")
      return
    }
    #expect(trigger.state(.interval, history("2026-03-01T12:00:00Z"), now: now) == .waiting(until: now + 3_600))
  }

  @Test("a daily trigger is due exactly at its time, for an hour, once")
  func window() {
    let trigger = utc(daily)
    let time = at("2026-03-01T22:14:00Z")
    let before = history("2026-02-28T22:14:00Z")
    #expect(trigger.state(.daily, before, now: time - 1) == .waiting(until: time))
    #expect(trigger.state(.daily, before, now: time) == .due(time))
    #expect(trigger.state(.daily, before, now: time + 3_599) == .due(time))
    #expect(trigger.state(.daily, before, now: time + 3_600) == .missed(time, next: time + 86_400))
    #expect(trigger.state(.daily, history("2026-03-01T22:14:00Z"), now: time) == .waiting(until: time + 86_400))
    #expect(trigger.state(.daily, history(nil), now: time + 26 * 60) == .due(time))
  }

  @Test("the hour goes on over midnight and over the end of a month")
  func overMidnight() {
    let late = utc(SchedulePolicy(daily: KitchenTime(minutes: 23 * 60 + 30)))
    let time = at("2026-03-31T23:30:00Z")
    #expect(late.state(.daily, history("2026-03-30T23:30:00Z"), now: at("2026-04-01T00:10:00Z")) == .due(time))
    let weekly = utc(
      SchedulePolicy(weekly: SchedulePolicy.Weekly(weekday: 2, time: KitchenTime(minutes: 23 * 60 + 59))))
    #expect(weekly.state(.weekly, history(nil), now: at("2026-04-01T00:58:00Z")) == .due(at("2026-03-31T23:59:00Z")))
    let monthly = utc(
      SchedulePolicy(monthly: SchedulePolicy.Monthly(date: 31, time: KitchenTime(minutes: 23 * 60 + 30))))
    #expect(monthly.state(.monthly, history(nil), now: at("2026-04-01T00:29:59Z")) == .due(time))
  }

  @Test("a date that a month does not have counts on into the next one, and that one's own date fires too")
  func rollOver() {
    let trigger = utc(SchedulePolicy(monthly: SchedulePolicy.Monthly(date: 31, time: KitchenTime(minutes: 720))))
    func instants(_ year: String) -> [String] {
      var found: [String] = []
      var now = at("\(year)-01-01T00:00:00Z")
      while let next = trigger.around(.monthly, now: now)?.next, Timestamp.text(next).hasPrefix(year) {
        found.append(String(Timestamp.text(next).prefix(10).suffix(5)))
        now = next
      }
      return found
    }
    #expect(
      instants("2026") == [
        "01-31", "03-03", "03-31", "05-01", "05-31", "07-01", "07-31", "08-31", "10-01", "10-31", "12-01", "12-31",
      ])
    #expect(instants("2028").prefix(3) == ["01-31", "03-02", "03-31"])
  }

  @Test("a time that a day lacks is the moment at which clocks jump over it")
  func gap() throws {
    // 2026-03-29: 02:00 becomes 03:00.
    let berlin = try zone("Europe/Berlin")
    let trigger = Trigger(policy: SchedulePolicy(daily: KitchenTime(minutes: 150)), zone: berlin)
    let jump = at("2026-03-29T01:00:00Z")
    #expect(trigger.state(.daily, history("2026-03-28T01:30:00Z"), now: jump - 1) == .waiting(until: jump))
    #expect(trigger.state(.daily, history("2026-03-28T01:30:00Z"), now: jump) == .due(jump))
    #expect(
      trigger.state(.daily, history("2026-03-29T01:00:00Z"), now: jump) == .waiting(until: at("2026-03-30T00:30:00Z")))
  }

  @Test("a time that a day has twice fires at the first of them only")
  func overlap() throws {
    // 2026-10-25: 03:00 becomes 02:00.
    let trigger = Trigger(
      policy: SchedulePolicy(daily: KitchenTime(minutes: 150)), zone: try zone("Europe/Berlin"))
    let first = at("2026-10-25T00:30:00Z")
    let before = history("2026-10-24T00:30:00Z")
    #expect(trigger.state(.daily, before, now: first) == .due(first))
    let second = first + 3_600
    #expect(
      trigger.state(.daily, history("2026-10-25T00:30:00Z"), now: second) == .waiting(until: at("2026-10-26T01:30:00Z"))
    )
    #expect(trigger.state(.daily, before, now: second) == .missed(first, next: at("2026-10-26T01:30:00Z")))
  }

  @Test("a clock that goes back does not run an instant twice, however far it went")
  func clockBack() {
    let trigger = utc(daily)
    let settled = ["2026-03-08T22:14:00Z", "2026-03-09T22:14:00Z", "2026-03-10T22:14:00Z"]
    let run = history("2026-03-10T22:14:00Z", settled: settled)
    for day in ["08", "09", "10"] {
      let state = trigger.state(.daily, run, now: at("2026-03-\(day)T22:14:30Z"))
      #expect(state == .waiting(until: at("2026-03-\(day)T22:14:00Z") + 86_400), "\(day)")
    }
  }

  @Test("a clock that was far ahead does not silence a schedule once it is right again")
  func clockWasAhead() {
    let ahead = history("2027-03-10T22:14:00Z", settled: ["2027-03-10T22:14:00Z"])
    let now = at("2026-03-10T22:20:00Z")
    #expect(utc(daily).state(.daily, ahead, now: now) == .due(at("2026-03-10T22:14:00Z")))
    #expect(utc(SchedulePolicy(interval: 5)).state(.interval, ahead, now: now) == .due(now))
    // A small step makes a run late by that much, never early and never twice.
    let step = history("2026-03-10T22:20:03Z")
    #expect(utc(SchedulePolicy(interval: 5)).state(.interval, step, now: now) == .waiting(until: now + 303))
  }

  @Test("names of zones are checked")
  func zones() throws {
    #expect(throws: (any Error).self) { _ = try ScheduleZone(named: "Europe/Atlantis") }
    #expect(try zone("Asia/Kolkata").offset(0) == 19_800)
  }
}

/// Every minute of a stretch of time, looked at one after the other: slow, and too simple to be wrong.
private struct NaiveCalendar {
  var policy: SchedulePolicy
  var zone: ScheduleZone

  /// The minutes at which each type fires: the first at which local clocks have reached the time of a wanted day.
  func fires(from begin: Int64, to end: Int64) -> [PolicyType: [Int64]] {
    var found: [PolicyType: [Int64]] = [:]
    var reached = begin + zone.offset(begin)
    for now in stride(from: begin + 60, to: end, by: 60) {
      let local = now + zone.offset(now)
      // All local minutes that this step reaches for the first time: one, none, or many where clocks jump.
      while reached < local {
        reached += 60
        for type in types(reached) where found[type]?.last != now { found[type, default: []].append(now) }
      }
    }
    return found
  }

  /// The types that want a local minute.
  private func types(_ local: Int64) -> [PolicyType] {
    let minutes = local % 86_400 / 60
    guard [policy.daily?.minutes, policy.weekly?.time.minutes, policy.monthly?.time.minutes].contains(minutes) else {
      return []
    }
    let day = local / 86_400
    let date = Timestamp.civil(day)
    let before = Timestamp.civil(day - date.day)
    var found: [PolicyType] = policy.daily?.minutes == minutes ? [.daily] : []
    // 1970-01-04 was a Sunday.
    if let weekly = policy.weekly, weekly.time.minutes == minutes, (day - 3) % 7 == weekly.weekday {
      found.append(.weekly)
    }
    if let monthly = policy.monthly, monthly.time.minutes == minutes,
      date.day == monthly.date || (monthly.date > before.day && date.day == monthly.date - before.day)
    {
      found.append(.monthly)
    }
    return found
  }
}

@Suite("Triggers against a model that looks at every minute")
struct TriggerPropertyTests {
  private static let zones = [
    "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo",
    "Africa/Casablanca", "Pacific/Apia", "Antarctica/Troll",
  ]

  @Test("the instants of every calendar section are those of the model", arguments: zones)
  func instants(_ name: String) throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(seed: seed)
    let zone = try ScheduleZone(named: name)
    // Years in which these zones had their changes, that of Samoa's missing day among them.
    let begin = at("\(Int.random(in: 2009...2024, using: &generator))-06-01T00:00:00Z")
    let end = begin + 500 * 86_400
    // Half of the times lie where clocks are changed.
    func time() -> KitchenTime {
      KitchenTime(
        minutes: Bool.random(using: &generator)
          ? Int64.random(in: 0..<1_440, using: &generator) : Int64.random(in: 0..<190, using: &generator))
    }
    let policy = SchedulePolicy(
      daily: time(),
      weekly: SchedulePolicy.Weekly(weekday: Int64.random(in: 0...6, using: &generator), time: time()),
      monthly: SchedulePolicy.Monthly(date: Int64.random(in: 26...31, using: &generator), time: time()))
    let trigger = Trigger(policy: policy, zone: zone)
    let model = NaiveCalendar(policy: policy, zone: zone).fires(from: begin, to: end)
    for type in [PolicyType.daily, .weekly, .monthly] {
      let expected = model[type] ?? []
      var found: [Int64] = []
      var now = begin + 86_400
      while let next = trigger.around(type, now: now)?.next, next < end {
        #expect(next > now)
        found.append(next)
        now = next
      }
      #expect(found == expected.filter { $0 > begin + 86_400 }, "seed \(seed), \(name), \(type), \(policy)")
    }
  }

  @Test(
    "a schedule that is looked at now and then, by a clock that is set now and then, runs each instant at most once")
  func steps() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(seed: seed)
    let trigger = Trigger(
      policy: SchedulePolicy(daily: KitchenTime(minutes: 600)), zone: try ScheduleZone(named: "Europe/Berlin"))
    var status = ScheduleStatus()
    var now = at("2026-03-20T00:00:00Z")
    var newest = now
    var fired: [Int64] = []
    for _ in 0..<20_000 {
      if case .due(let instant) = trigger.state(.daily, status.history(.daily), now: now) {
        fired.append(instant)
        status.items[.daily] = [ScheduleItem(name: "m", created: now, finished: nil, status: .successful)]
        status.settle(.daily, instant)
      }
      now += Int64.random(in: 1...900, using: &generator)
      newest = max(newest, now)
      // Steps of up to two days to either side, as somebody makes who sets the wrong date and corrects it.
      guard generator.oneIn(400) else { continue }
      now = max(now + Int64.random(in: -172_800...172_800, using: &generator), newest - 5 * 86_400)
    }
    #expect(Set(fired).count == fired.count, "seed \(seed)")
    #expect(fired.count > 50, "seed \(seed)")
  }
}
