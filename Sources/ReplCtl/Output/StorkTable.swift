import APIModel
import Glibc

/// Columns of the Stork kinds as `storkctl` prints them.
enum StorkTable {
  struct Column {
    var name: String
    var cell: (JSONValue) -> String

    init(_ name: String, _ cell: @escaping (JSONValue) -> String) {
      self.name = name
      self.cell = cell
    }
  }

  /// nil: the agent's own table is printed.
  static func columns(_ kind: String) -> [Column]? {
    switch kind {
    case "ClusterPair": clusterPair
    case "Migration": migration
    default: nil
    }
  }

  private static var created: Column { Column("CREATED") { Field.time($0, "metadata.creationTimestamp") } }
  private static var name: Column { Column("NAME") { Field.text($0, "metadata.name") } }

  private static var clusterPair: [Column] {
    [
      name, Column("STORAGE-STATUS") { Field.text($0, "status.storageStatus") },
      Column("SCHEDULER-STATUS") { Field.text($0, "status.schedulerStatus") }, created,
    ]
  }

  private static var migration: [Column] {
    [
      name, Column("CLUSTERPAIR") { Field.text($0, "spec.clusterPair") },
      Column("STAGE") { Field.text($0, "status.stage") }, Column("STATUS") { Field.text($0, "status.status") },
      Column("VOLUMES") { counts($0, "includeVolumes", "Volumes", "volumes") },
      Column("RESOURCES") { counts($0, "includeResources", "Resources", "resources") }, created,
      Column("ELAPSED", elapsed),
      Column("TOTAL BYTES TRANSFERRED") { migration in
        migration[at: "status.summary"]?.object == nil
          ? "Available with stork v2.9.0+" : Field.text(migration, "status.summary.totalBytesMigrated")
      },
    ]
  }

  private static func counts(_ object: JSONValue, _ option: String, _ word: String, _ list: String) -> String {
    if object[at: "status.summary"]?.object != nil {
      return Field.text(object, "status.summary.numOfMigrated\(word)") + "/"
        + Field.text(object, "status.summary.totalNumberOf\(word)")
    }
    if object[at: "spec.\(option)"]?.bool == false { return "N/A" }
    let entries = object[at: "status.\(list)"]?.array ?? []
    return "\(entries.filter { $0["status"]?.string == "Successful" }.count)/\(entries.count)"
  }

  private static func elapsed(_ object: JSONValue) -> String {
    if object[at: "status.summary"]?.object != nil {
      return "Volumes (\(Field.text(object, "status.summary.elapsedTimeForVolumeMigration"))) Resources ("
        + "\(Field.text(object, "status.summary.elapsedTimeForResourceMigration")))"
    }
    guard let start = Timestamp.seconds(Field.text(object, "metadata.creationTimestamp")) else { return "" }
    let end = Timestamp.seconds(Field.text(object, "status.finishTimestamp")) ?? Int64(time(nil))
    return DurationText.go(max(0, end - start))
  }
}
