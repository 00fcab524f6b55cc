import KubeModel

extension Schema {
  /// Fields of SchedulePolicy and NamespacedSchedulePolicy: a body called policy, no spec and no status.
  static let schedulePolicy: [Field] = [
    .object(
      "policy", "When work is due. A part that is left out does not trigger; with none at all nothing is ever due.",
      [
        .object(
          "interval", "Due every so many minutes.",
          [.integer("intervalMinutes", "Minutes between triggers, at least 1.")] + common(10)),
        .object(
          "daily", "Due once a day.",
          [
            .string("time", timeText),
            .string("forceFullSnapshotDay", "Day of the week of a full snapshot. Kept; Migrations do not use it."),
          ] + common(30)),
        .object(
          "weekly", "Due once a week.",
          [
            .string("day", "Day of the week in English, in full or with three letters: Sunday, Mon."),
            .string("time", timeText),
          ] + common(7)),
        .object(
          "monthly", "Due once a month.",
          [
            .integer(
              "date", "Day of the month, 1 to 31. In a shorter month the days over roll into the next month."),
            .string("time", timeText),
          ] + common(12)),
      ])
  ]

  private static let timeText = "Time of day, 12-hour clock: 10:15PM. In the node's time zone unless one is configured."

  private static func common(_ retain: Int) -> [Field] {
    [
      .integer("retain", "How many results to keep, \(retain) unless given. Migrations do not use it."),
      .map("options", "Options of a storage driver. Kept; Migrations do not use them."),
    ]
  }
}
