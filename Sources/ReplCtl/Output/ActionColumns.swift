import APIModel

/// The two views of Actions: `get failover` and `get failback`.
enum ActionView: String, CaseIterable {
  case failover, failback

  /// Whether an Action belongs to this view. A present but empty summary hides it, unless it was asked for by its name.
  func shows(_ action: JSONValue, byName: Bool = false) -> Bool {
    guard action[at: "spec.actionType"]?.string == rawValue else { return false }
    guard !byName, action[at: "status.summary"]?.object != nil else { return true }
    return !entries(action).isEmpty
  }

  fileprivate func entries(_ action: JSONValue) -> [JSONValue] {
    action[at: "status.summary.\(rawValue)Summary"]?.array ?? []
  }
}

/// The table of Actions of one type.
enum ActionColumns {
  static func all(_ view: ActionView) -> [StorkTable.Column] {
    [
      StorkTable.nameColumn, StorkTable.created, .init("STAGE") { stage(Field.text($0, "status.stage"), view) },
      .init("STATUS", "status.status"), .init("MORE INFO") { information($0, view) },
    ]
  }

  /// The stage in words, which depend on the direction.
  static func stage(_ stage: String, _ view: ActionView) -> String {
    let isFailover = view == .failover
    let place = isFailover ? "source" : "destination"
    switch stage {
    case "": return "Validations"
    case "ScaleDownSource", "ScaleDownDestination": return "Scale Down (on \(place))"
    case "WaitAfterScaleDown": return "Waiting for Apps to Scale Down (on \(place))"
    case "LastMileMigration":
      return "Last Mile Migration (from "
        + (isFailover ? "source -> destination)" : "destination -> source)")
    case "ScaleUpSource": return (isFailover ? "Rolling Back Scale Down" : "Scale Up") + " (on source)"
    case "ScaleUpDestination": return (isFailover ? "Scale Up" : "Rolling Back Scale Down") + " (on destination)"
    case "Final": return "Completed"
    default: return stage
    }
  }

  private static func information(_ action: JSONValue, _ view: ActionView) -> String {
    let reason = Field.text(action, "status.reason")
    let entries = view.entries(action)
    guard !entries.isEmpty else { return reason }
    func count(_ status: String) -> Int { entries.count { $0["status"]?.string == status } }
    let rolledBack = count("RollbackSuccessful")
    if rolledBack + count("RollbackFailed") > 0 {
      return "Rolled back Apps in : \(rolledBack)/\(entries.count) namespaces" + (reason.isEmpty ? "" : " ; \(reason)")
    }
    return "Scaled up Apps in : \(count("Successful"))/\(entries.count) namespaces"
  }
}
