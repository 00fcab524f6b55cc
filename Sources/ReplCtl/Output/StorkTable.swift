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

    /// A column that shows a field as it is.
    init(_ name: String, _ path: String) { self.init(name) { Field.text($0, path) } }
  }

  /// nil: the agent's own table is printed. `view` is the word the person used, since Actions have two.
  static func columns(_ kind: String, view: String = "") -> [Column]? {
    switch kind {
    case "ClusterPair": clusterPair
    case "SchedulePolicy", "NamespacedSchedulePolicy": PolicyColumns.all
    case "Migration": MigrationColumns.all
    case "MigrationSchedule": ScheduleColumns.all
    case "ClusterDomainsStatus": clusterDomainsStatus
    case "ClusterDomainUpdate": clusterDomainUpdate
    case "Action": ActionView(rawValue: view).map(ActionColumns.all)
    default: nil
    }
  }

  /// What `-o wide` adds.
  static func wideColumns(_ kind: String) -> [Column] {
    switch kind {
    case "ClusterPair":
      [
        Column("MODE", "spec.options.mode"), Column("REMOTE-STORAGE-ID", "status.remoteStorageId"),
        Column("REASON", "status.reason"),
      ]
    case "Migration": [Column("NAMESPACES") { list($0, "spec.namespaces") }, Column("REASON", "status.reason")]
    case "MigrationSchedule":
      [
        Column("NAMESPACES") { list($0, "spec.template.spec.namespaces") },
        Column("ACTIVATED") { $0[at: "status.applicationActivated"]?.bool == true ? "true" : "false" },
      ]
    default: []
    }
  }

  private static func list(_ object: JSONValue, _ path: String) -> String {
    (object[at: path]?.array ?? []).compactMap(\.string).joined(separator: ",")
  }

  static var nameColumn: Column { Column("NAME", "metadata.name") }
  static var created: Column { Column("CREATED") { Field.time($0, "metadata.creationTimestamp") } }

  private static var clusterPair: [Column] {
    [
      nameColumn, Column("STORAGE-STATUS", "status.storageStatus"),
      Column("SCHEDULER-STATUS", "status.schedulerStatus"), created,
    ]
  }

  private static var clusterDomainsStatus: [Column] {
    [
      nameColumn, Column("LOCAL-DOMAIN", "status.localDomain"), Column("ACTIVE") { domains($0, active: true) },
      Column("INACTIVE") { domains($0, active: false) }, created,
    ]
  }

  /// Anything that is not `Active` counts as inactive.
  private static func domains(_ object: JSONValue, active: Bool) -> String {
    (object[at: "status.clusterDomainInfos"]?.array ?? [])
      .filter { ($0["state"]?.string == "Active") == active }
      .map { "\(Field.text($0, "name")) (\(Field.text($0, "syncStatus")))" }.joined(separator: ", ")
  }

  private static var clusterDomainUpdate: [Column] {
    [
      nameColumn, Column("CLUSTER-DOMAIN", "spec.clusterdomain"),
      Column("ACTION") { $0[at: "spec.active"]?.bool == true ? "Activate" : "Deactivate" },
      Column("STATUS", "status.status"), created,
    ]
  }

  /// The table of some objects, with their namespaces in front when those of all namespaces are shown.
  static func table(_ items: [JSONValue], columns: [Column], withNamespace: Bool) -> TextTable {
    var table = TextTable((withNamespace ? ["NAMESPACE"] : []) + columns.map(\.name))
    table.rows = items.map { item in
      (withNamespace ? [Field.text(item, "metadata.namespace")] : []) + columns.map { $0.cell(item) }
    }
    return table
  }
}
