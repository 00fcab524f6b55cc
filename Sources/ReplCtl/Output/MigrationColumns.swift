import APIModel
import Glibc

/// The table of Migrations.
enum MigrationColumns {
  static var all: [StorkTable.Column] {
    [
      StorkTable.nameColumn, .init("CLUSTERPAIR", "spec.clusterPair"), .init("STAGE", "status.stage"),
      .init("STATUS", "status.status"), .init("VOLUMES") { counts($0, "includeVolumes", "Volumes", "volumes") },
      .init("RESOURCES") { counts($0, "includeResources", "Resources", "resources") }, StorkTable.created,
      .init("ELAPSED", elapsed), .init("TOTAL BYTES TRANSFERRED", bytes),
    ]
  }

  private static func hasSummary(_ object: JSONValue) -> Bool { object[at: "status.summary"]?.object != nil }

  private static func counts(_ object: JSONValue, _ option: String, _ word: String, _ list: String) -> String {
    if hasSummary(object) {
      return Self.count(object, "status.summary.numOfMigrated\(word)") + "/"
        + Self.count(object, "status.summary.totalNumberOf\(word)")
    }
    if object[at: "spec.\(option)"]?.bool == false { return "N/A" }
    let entries = object[at: "status.\(list)"]?.array ?? []
    return "\(entries.filter { $0["status"]?.string == "Successful" }.count)/\(entries.count)"
  }

  private static func count(_ object: JSONValue, _ path: String) -> String {
    let text = Field.text(object, path)
    return text.isEmpty ? "0" : text
  }

  private static func elapsed(_ object: JSONValue) -> String {
    if hasSummary(object) {
      return "Volumes (\(Field.text(object, "status.summary.elapsedTimeForVolumeMigration"))) Resources ("
        + "\(Field.text(object, "status.summary.elapsedTimeForResourceMigration")))"
    }
    guard let start = Timestamp.seconds(Field.text(object, "metadata.creationTimestamp")) else { return "" }
    let finish = Timestamp.seconds(Field.text(object, "status.finishTimestamp"))
    let end = (Field.text(object, "status.stage") == "Final" ? finish : nil) ?? Int64(time(nil))
    return DurationText.go(max(0, end - start))
  }

  private static func bytes(_ object: JSONValue) -> String {
    hasSummary(object) ? count(object, "status.summary.totalBytesMigrated") : "Available with stork v2.9.0+"
  }
}

/// The table of MigrationSchedules.
enum ScheduleColumns {
  static var all: [StorkTable.Column] {
    [
      StorkTable.nameColumn, .init("POLICYNAME", "spec.schedulePolicyName"),
      .init("CLUSTERPAIR", "spec.template.spec.clusterPair"),
      .init("SUSPEND") { $0[at: "spec.suspend"]?.bool == true ? "true" : "false" },
      .init("LAST-SUCCESS-TIME") { lastSuccess($0).map { Field.time($0, "finishTimestamp") } ?? "" },
      .init("LAST-SUCCESS-DURATION") { lastSuccess($0).map(duration) ?? "" },
    ]
  }

  /// The run that finished last among the successful ones of all policy types.
  private static func lastSuccess(_ object: JSONValue) -> JSONValue? {
    (object[at: "status.items"]?.object ?? [:]).values.flatMap { $0.array ?? [] }
      .filter { $0["status"]?.string == "Successful" && finish($0) != nil }
      .max { finish($0) ?? 0 < finish($1) ?? 0 }
  }

  private static func finish(_ item: JSONValue) -> Int64? { Timestamp.seconds(Field.text(item, "finishTimestamp")) }

  private static func duration(_ item: JSONValue) -> String {
    guard let end = finish(item), let start = Timestamp.seconds(Field.text(item, "creationTimestamp")) else {
      return ""
    }
    return DurationText.go(end - start)
  }
}
