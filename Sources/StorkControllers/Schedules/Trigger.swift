import APIModel
import KubeModel

/// When the runs of a policy are due. Pure: times in, times out, all in seconds since 1970.
///
/// A calendar trigger stands for an instant (see ``ScheduleZone/instant(day:minutes:)``). It is due from that instant
/// for an hour, unless a run has been made for it.
struct Trigger: Sendable {
  var policy: SchedulePolicy
  var zone: ScheduleZone

  /// What is known of the runs of one policy type.
  struct History: Hashable, Sendable {
    /// Start of the newest run by the clock of that time.
    var last: Int64?
    /// Calendar instants that are done with: a run was made, or their hour had passed. The newest ones only.
    var settled: Set<Int64> = []
  }

  enum State: Hashable, Sendable {
    /// Not before this instant; nil when the policy has no such section.
    case waiting(until: Int64?)
    /// Now, for this instant.
    case due(Int64)
    /// The hour of this instant has passed without a run.
    case missed(Int64, next: Int64)
  }

  /// How long after its instant a calendar trigger may still start a run.
  static let window: Int64 = 3_600

  func state(_ type: PolicyType, _ history: History, now: Int64) -> State {
    guard type != .interval else { return interval(history, now: now) }
    guard let (previous, next) = around(type, now: now) else { return .waiting(until: nil) }
    if isDone(previous, history, now: now) { return .waiting(until: next) }
    return now - previous < Self.window ? .due(previous) : .missed(previous, next: next)
  }

  /// How many instants of a calendar section lie before one that was missed, and after `since` and all that is done
  /// with: they were missed as well. At most ``missedLimit``.
  func missedBefore(_ instant: Int64, _ type: PolicyType, _ history: History, since: Int64) -> Int {
    let done = ([since, history.last ?? .min] + history.settled).filter { $0 < instant }.max() ?? .min
    var count = 0
    var earliest = instant
    while count < Self.missedLimit, let previous = around(type, now: earliest - 1)?.previous, previous > done {
      count += 1
      earliest = previous
    }
    return count
  }

  static let missedLimit = 1_000

  /// Whether a run was made for an instant or after it.
  private func isDone(_ instant: Int64, _ history: History, now: Int64) -> Bool {
    if history.settled.contains(instant) { return true }
    guard let last = history.last else { return false }
    // A run in the future shows that the clock went back since. It may have run far ahead, so that its times say
    // nothing of this instant; only the instants that were settled one by one do.
    return last <= now && last >= instant
  }

  private func interval(_ history: History, now: Int64) -> State {
    guard let minutes = policy.interval else { return .waiting(until: nil) }
    guard let last = history.last else { return .due(now) }
    let length = minutes * 60
    // The clock went back by more than a period: how long ago the run was cannot be known, and one run too early costs
    // less than waiting for the clock to come around.
    if last - now > length { return .due(now) }
    return last + length <= now ? .due(last + length) : .waiting(until: last + length)
  }

  /// The newest instant of a calendar section that is not after `now`, and the next one; nil without such a section.
  func around(_ type: PolicyType, now: Int64) -> (previous: Int64, next: Int64)? {
    guard let instants = instants(type, near: zone.day(now)) else { return nil }
    guard let previous = instants.filter({ $0 <= now }).max(), let next = instants.filter({ $0 > now }).min() else {
      return nil
    }
    return (previous, next)
  }

  /// Enough instants before and after a day.
  private func instants(_ type: PolicyType, near day: Int64) -> [Int64]? {
    switch type {
    case .interval: return nil
    case .daily:
      return policy.daily.map { time in (day - 2...day + 2).map { zone.instant(day: $0, minutes: time.minutes) } }
    case .weekly:
      return policy.weekly.map { weekly in
        (day - 9...day + 9).filter { Self.weekday($0) == weekly.weekday }
          .map { zone.instant(day: $0, minutes: weekly.time.minutes) }
      }
    case .monthly:
      return policy.monthly.map { monthly in
        let today = Timestamp.civil(day)
        let month = today.year * 12 + today.month - 1
        return (month - 2...month + 2).map { month in
          // A date beyond the end of its month counts on into the next one: 31 February is 2 or 3 March.
          let date = Timestamp.daysFromCivil(
            Self.floor(month, 12), month - Self.floor(month, 12) * 12 + 1, monthly.date)
          return zone.instant(day: date, minutes: monthly.time.minutes)
        }
      }
    }
  }

  /// 0 is Sunday; 1970-01-01 was a Thursday.
  static func weekday(_ day: Int64) -> Int64 { day + 4 - floor(day + 4, 7) * 7 }

  private static func floor(_ value: Int64, _ by: Int64) -> Int64 {
    value >= 0 ? value / by : -((-value + by - 1) / by)
  }
}
