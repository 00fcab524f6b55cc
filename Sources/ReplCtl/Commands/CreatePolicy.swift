import APIModel
import ArgumentParser

struct CreateSchedulePolicy: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schedulepolicy", abstract: "Makes a schedule policy: when migrations are due.", aliases: ["sp"])

  @Argument(help: "Name of the SchedulePolicy.") var names: [String] = []
  @Option(name: [.customShort("t"), .long], help: "Interval, Daily, Weekly or Monthly.") var policyType = "Interval"
  @Option(name: [.short, .long], help: "Interval: minutes between runs (30).") var intervalMinutes: Int64?
  @Option(help: "Daily, Weekly, Monthly: time of day such as 10:15PM (12:00AM).") var time: String?
  @Option(help: "Weekly: day of the week (Sunday).") var dayOfWeek: String?
  @Option(help: "Monthly: day of the month (1).") var dateOfMonth: Int64?
  @Option(help: "How many copies backups keep.") var retain: Int64?
  @Option(help: "Daily: weekday of full snapshots (Monday).") var forceFullSnapshotDay: String?
  @OptionGroup var options: GlobalOptions

  func run() throws {
    guard names.count == 1, let name = names.first else {
      throw Failure.usage("exactly one name needs to be provided for schedule policy name")
    }
    guard let kind = PolicyKind.allCases.first(where: { $0.rawValue.lowercased() == policyType.lowercased() }) else {
      throw Failure.usage(
        "need to provide a valid schedule policy type. Valid schedule types are Interval, Daily, Weekly and Monthly")
    }
    if let retain, retain < 1 {
      throw Failure.usage("need to provide a valid value for retain. It should be a positive integer")
    }
    guard given.isSubset(of: kind.flags) else { throw Failure.usage(kind.wrongFlags) }
    let client = options.client
    let policies = try KindCatalog(client).kind("schedulepolicies")
    var object = KubeObject(apiVersion: policies.apiVersion, kind: policies.kind, namespace: nil, name: name)
    object.json["policy"] = .object([kind.rawValue.lowercased(): try section(kind)])
    let made = try client.send("POST", policies.path(namespace: nil), body: object.json)
    try options.print(made) { "Schedule policy \(name) created successfully" }
  }

  private var given: Set<String> {
    var flags: Set<String> = []
    if intervalMinutes != nil { flags.insert("interval-minutes") }
    if time != nil { flags.insert("time") }
    if dayOfWeek != nil { flags.insert("day-of-week") }
    if dateOfMonth != nil { flags.insert("date-of-month") }
    if forceFullSnapshotDay != nil { flags.insert("force-full-snapshot-day") }
    return flags
  }

  private func section(_ kind: PolicyKind) throws(Failure) -> JSONValue {
    let retain = JSONValue.integer(retain ?? kind.retain)
    let time = time ?? "12:00AM"
    if kind != .interval { try check(PolicyRules.time(time, kind.rawValue)) }
    switch kind {
    case .interval:
      let minutes = intervalMinutes ?? 30
      try check(PolicyRules.interval(minutes))
      return ["intervalMinutes": .integer(minutes), "retain": retain]
    case .daily:
      let day = forceFullSnapshotDay ?? "Monday"
      if PolicyRules.day(day) != nil {
        throw Failure.usage("invalid day of the week (\(day)) in policy.daily.forceFullSnapshotDay")
      }
      return ["time": .string(time), "forceFullSnapshotDay": .string(day.lowercased()), "retain": retain]
    case .weekly:
      let day = dayOfWeek ?? "Sunday"
      try check(PolicyRules.day(day))
      return ["time": .string(time), "day": .string(day.lowercased()), "retain": retain]
    case .monthly:
      let date = dateOfMonth ?? 1
      try check(PolicyRules.date(date))
      return ["time": .string(time), "date": .integer(date), "retain": retain]
    }
  }

  private func check(_ complaint: String?) throws(Failure) {
    if let complaint { throw Failure.usage(complaint) }
  }
}

/// The types of schedule policies, with what belongs to each.
enum PolicyKind: String, CaseIterable {
  case interval = "Interval"
  case daily = "Daily"
  case weekly = "Weekly"
  case monthly = "Monthly"

  /// How many copies are kept when nothing is said.
  var retain: Int64 {
    switch self {
    case .interval: 10
    case .daily: 30
    case .weekly: 7
    case .monthly: 12
    }
  }

  var flags: Set<String> {
    switch self {
    case .interval: ["interval-minutes"]
    case .daily: ["time", "force-full-snapshot-day"]
    case .weekly: ["time", "day-of-week"]
    case .monthly: ["time", "date-of-month"]
    }
  }

  var wrongFlags: String {
    let allowed =
      switch self {
      case .interval: "an Interval SchedulePolicy you can only provide values for --interval-minutes and --retain"
      case .daily:
        "a Daily SchedulePolicy you can only provide values for --time, --retain and --force-full-snapshot-day"
      case .weekly: "a Weekly SchedulePolicy you can only provide values for --time, --day-of-week and --retain"
      case .monthly: "a Monthly SchedulePolicy you can only provide values for --time, --date-of-month and --retain"
      }
    return "for \(allowed) flags"
  }
}
