import APIModel

/// The table of schedule policies.
enum PolicyColumns {
  static var all: [StorkTable.Column] {
    [
      StorkTable.nameColumn, .init("INTERVAL-MINUTES") { cell($0, "interval", interval) },
      .init("DAILY") { cell($0, "daily", daily) }, .init("WEEKLY") { cell($0, "weekly", weekly) },
      .init("MONTHLY") { cell($0, "monthly", monthly) },
    ]
  }

  /// `show` gives nil for a section that does not hold.
  private static func cell(_ object: JSONValue, _ section: String, _ show: (JSONValue) -> String?) -> String {
    guard let policy = object["policy"]?[section], !policy.isNull else { return "N/A" }
    return show(policy) ?? "Invalid"
  }

  private static func interval(_ policy: JSONValue) -> String? {
    let minutes = policy["intervalMinutes"]?.integer ?? 0
    return PolicyRules.interval(minutes) == nil ? String(minutes) : nil
  }

  private static func daily(_ policy: JSONValue) -> String? {
    let time = Field.text(policy, "time")
    return PolicyRules.time(time, "Daily") == nil ? time : nil
  }

  private static func weekly(_ policy: JSONValue) -> String? {
    let (day, time) = (Field.text(policy, "day"), Field.text(policy, "time"))
    return PolicyRules.time(time, "Weekly") == nil && PolicyRules.day(day) == nil ? "\(day)@\(time)" : nil
  }

  private static func monthly(_ policy: JSONValue) -> String? {
    let (date, time) = (policy["date"]?.integer ?? 0, Field.text(policy, "time"))
    return PolicyRules.time(time, "Monthly") == nil && PolicyRules.date(date) == nil ? "\(date)@\(time)" : nil
  }
}

/// What a schedule policy may say. Each rule gives the complaint, nil when there is none.
enum PolicyRules {
  static func interval(_ minutes: Int64) -> String? {
    (1...longestInterval).contains(minutes) ? nil : "Invalid intervalMinutes (\(minutes)) in Interval policy"
  }

  /// A century, in minutes, as the agent has it.
  private static let longestInterval: Int64 = 52_596_000

  static func time(_ text: String, _ policy: String) -> String? {
    kitchenTime(text).map { "Invalid time (\(text)) in \(policy) policy: \($0)" }
  }

  static func day(_ text: String) -> String? {
    days.contains(text) ? nil : "Invalid day of the week (\(text)) in Weekly policy"
  }

  static func date(_ date: Int64) -> String? {
    (1...31).contains(date) ? nil : "Invalid date of the month (\(date)) in Monthly policy"
  }

  /// Weekdays as the Stork tools know them, capitalised or in small letters.
  static let days: Set<String> = {
    let full = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    let words = full + full.map { String($0.prefix(3)) } + ["Thur", "Thurs"]
    return Set(words + words.map { $0.lowercased() })
  }()

  /// `h:mmPM`: the complaint in the words of Go's time package.
  static func kitchenTime(_ text: String) -> String? {
    var rest = text[...]
    func cannot(_ element: String) -> String {
      "parsing time \"\(text)\" as \"3:04pm\": cannot parse \"\(rest)\" as \"\(element)\""
    }
    let hour = rest.prefix(2).prefix { $0.isASCII && $0.isNumber }
    guard let value = Int(hour) else { return cannot("3") }
    guard value <= 12 else { return "parsing time \"\(text)\": hour out of range" }
    rest = rest.dropFirst(hour.count)
    guard rest.first == ":" else { return cannot(":") }
    rest = rest.dropFirst()
    let minute = rest.prefix(2)
    guard minute.count == 2, minute.allSatisfy({ $0.isASCII && $0.isNumber }), let value = Int(minute) else {
      return cannot("04")
    }
    guard value <= 59 else { return "parsing time \"\(text)\": minute out of range" }
    rest = rest.dropFirst(2)
    guard ["AM", "PM", "am", "pm"].contains(rest.prefix(2)) else { return cannot("pm") }
    rest = rest.dropFirst(2)
    return rest.isEmpty ? nil : "parsing time \"\(text)\": extra text: \"\(rest)\""
  }
}
