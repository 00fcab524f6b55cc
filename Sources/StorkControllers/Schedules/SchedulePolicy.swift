import APIModel
import KubeModel

/// The four ways in which a policy can ask for a run, in the order in which they are tested.
enum PolicyType: String, Hashable, Sendable, CaseIterable {
  case interval = "Interval"
  case daily = "Daily"
  case weekly = "Weekly"
  case monthly = "Monthly"
}

/// A SchedulePolicy or NamespacedSchedulePolicy as a checked value. A section that is absent is nil.
struct SchedulePolicy: Hashable, Sendable {
  struct Weekly: Hashable, Sendable {
    /// 0 is Sunday.
    var weekday: Int64
    var time: KitchenTime
  }

  struct Monthly: Hashable, Sendable {
    /// 1 to 31; a date that a month does not have counts on into the next month.
    var date: Int64
    var time: KitchenTime
  }

  /// Why a policy cannot be used, as the text of an event.
  struct Invalid: Error, Hashable {
    var text: String
  }

  /// Minutes, at least 1.
  var interval: Int64?
  var daily: KitchenTime?
  var weekly: Weekly?
  var monthly: Monthly?

  /// Reads `policy` of an object. All sections are checked in their order; numbers may be written as texts.
  init(_ object: KubeObject) throws(Invalid) {
    let policy = object.json["policy"] ?? .null
    guard policy.isNull || policy.object != nil else { throw Invalid(text: "Invalid policy: it is not a mapping") }
    if let section = try Self.section(policy, .interval) {
      guard let minutes = Self.number(section["intervalMinutes"]), minutes >= 1, minutes <= Self.longestInterval else {
        throw Invalid(text: "Invalid intervalMinutes (\(Self.shown(section["intervalMinutes"]))) in Interval policy")
      }
      interval = minutes
    }
    if let section = try Self.section(policy, .daily) { daily = try Self.time(section, .daily) }
    if let section = try Self.section(policy, .weekly) {
      let time = try Self.time(section, .weekly)
      let day = section["day"]?.text ?? ""
      guard let weekday = Self.weekday(day) else {
        throw Invalid(text: "Invalid day of the week (\(day.prefix(64))) in Weekly policy")
      }
      weekly = Weekly(weekday: weekday, time: time)
    }
    if let section = try Self.section(policy, .monthly) {
      let time = try Self.time(section, .monthly)
      guard let date = Self.number(section["date"]), (1...31).contains(date) else {
        throw Invalid(text: "Invalid date of the month (\(Self.shown(section["date"]))) in Monthly policy")
      }
      monthly = Monthly(date: date, time: time)
    }
    // One that an older version has stored: nothing would ever come of it, and nobody would be told.
    if interval == nil, daily == nil, weekly == nil, monthly == nil, let misplaced = Self.misplaced(object).first {
      throw Invalid(text: "Invalid policy: \(misplaced.field): \(misplaced.message)")
    }
  }

  init(
    interval: Int64? = nil, daily: KitchenTime? = nil, weekly: Weekly? = nil, monthly: Monthly? = nil
  ) {
    (self.interval, self.daily, self.weekly, self.monthly) = (interval, daily, weekly, monthly)
  }

  /// Parts that nothing would ever come of, since they are not where they are looked for.
  static func misplaced(_ object: KubeObject) -> [StatusError.Cause] {
    func cause(_ field: String, _ text: String) -> StatusError.Cause {
      StatusError.Cause(reason: "FieldValueForbidden", message: "Forbidden: \(text)", field: field)
    }
    let sections = PolicyType.allCases.map { $0.rawValue.lowercased() }
    var causes: [StatusError.Cause] = []
    if let spec = object.json["spec"], !spec.isNull {
      causes.append(cause("spec", "a \(object.kind) has no spec: put interval, daily, weekly or monthly under policy"))
    }
    for section in sections where !(object.json[section] ?? .null).isNull {
      causes.append(cause(section, "put it under policy, where it is looked for"))
    }
    for name in (object.json["policy"]?.object ?? [:]).keys.sorted() where !sections.contains(name) {
      causes.append(cause("policy.\(name)", "no such part: there are \(sections.joined(separator: ", "))"))
    }
    return Array(causes.prefix(16))
  }

  /// A century: beyond it, adding minutes to times could overflow.
  private static let longestInterval: Int64 = 52_596_000

  private static func section(_ policy: JSONValue, _ type: PolicyType) throws(Invalid) -> JSONValue? {
    guard let section = policy[type.rawValue.lowercased()], !section.isNull else { return nil }
    guard section.object != nil else { throw Invalid(text: "Invalid \(type.rawValue) policy: it is not a mapping") }
    return section
  }

  private static func time(_ section: JSONValue, _ type: PolicyType) throws(Invalid) -> KitchenTime {
    let text = section["time"]?.text ?? ""
    do throws(KitchenTime.Failure) { return try KitchenTime(text) } catch {
      throw Invalid(text: "Invalid time (\(text.prefix(64))) in \(type.rawValue) policy: \(error.text)")
    }
  }

  private static func number(_ value: JSONValue?) -> Int64? {
    value?.integer ?? value?.string.flatMap { Int64($0) }
  }

  /// What the user wrote; a field left out is the zero that clients send for it.
  private static func shown(_ value: JSONValue?) -> String { String((value?.text ?? "0").prefix(64)) }

  /// 0 for Sunday; nil for a word that is not in the list of the reference, upper and lower case included.
  static func weekday(_ word: String) -> Int64? {
    let days = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
    let lower = word.lowercased()
    guard word == lower || word == lower.prefix(1).uppercased() + lower.dropFirst() else { return nil }
    let more = ["thur", "thurs"].contains(lower)
    return days.firstIndex { $0 == lower || $0.prefix(3) == lower || (more && $0 == "thursday") }.map(Int64.init)
  }
}
