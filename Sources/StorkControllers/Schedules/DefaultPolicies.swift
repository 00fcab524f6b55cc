import APIModel
import KubeModel

/// The policies that are there from the start.
enum DefaultPolicies {
  /// Makes those that are absent. Idempotent; an existing one is left as it is, but for the first release's
  /// migration policy of one minute.
  static func ensure(_ store: any KubeStore) async throws(StatusError) {
    for policy in all {
      do { _ = try await store.create(.schedulePolicy, policy) } catch {
        if error.reason != "AlreadyExists" { throw error }
      }
    }
    _ = try await store.change(.schedulePolicy, namespace: "", name: migration) { old in
      guard old.json[at: "policy.interval.intervalMinutes"]?.text == "1" else { return old }
      var new = old
      new.json[at: "policy.interval.intervalMinutes"] = 30
      return new
    }
  }

  static let migration = "default-migration-policy"

  static var all: [KubeObject] {
    [
      object(migration, "interval", ["intervalMinutes": 30, "retain": 0]),
      object("default-interval-policy", "interval", ["intervalMinutes": 15, "retain": 10]),
      object("default-daily-policy", "daily", ["time": "12:00am", "retain": 7, "forceFullSnapshotDay": ""]),
      object("default-weekly-policy", "weekly", ["day": "Sunday", "time": "12:00am", "retain": 4]),
      object("default-monthly-policy", "monthly", ["date": 15, "time": "12:00am", "retain": 12]),
    ]
  }

  private static func object(_ name: String, _ section: String, _ fields: JSONValue) -> KubeObject {
    var policy = ResourceKind.schedulePolicy.object(name: name)
    policy.json["policy"] = ["interval": .null, "daily": .null, "weekly": .null, "monthly": .null]
    policy.json[path: ["policy", section]] = fields
    policy.json[path: ["policy", section, "options"]] = .null
    return policy
  }
}
