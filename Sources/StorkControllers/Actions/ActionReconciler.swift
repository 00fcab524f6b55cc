import APIModel
import KubeModel

/// Ends every Action as failed: this version moves no applications by itself, and one that never ends would let
/// people wait in the middle of a disaster.
struct ActionReconciler: Reconciler {
  let kind = ResourceKind.action
  var store: any KubeStore
  var events: EventRecorder
  /// Seconds since 1970.
  var clock: @Sendable () -> Int64

  func reconcile(_ key: ObjectKey) async throws(StatusError) -> Duration? {
    let action = try await store.get(kind, namespace: key.namespace, name: key.name)
    guard !action.isDeleting, let status = Self.end(action, now: clock()) else { return nil }
    let ended = try await store.change(kind, namespace: key.namespace, name: key.name) {
      old throws(StatusError) in
      guard old.resourceVersion == action.resourceVersion else { throw ResourceKind.action.conflict(old.name) }
      var new = old
      new.json["status"] = status
      return new
    }
    let reason = status["reason"]?.string ?? ""
    await events.record(ended, warning: true, reason: "Failed", message: reason)
    return nil
  }

  /// The status an Action ends with; nil for one that has ended. Pure.
  ///
  /// There is no summary: an empty one would hide the Action from those who look for it.
  static func end(_ action: KubeObject, now: Int64) -> JSONValue? {
    guard action.stage != .final else { return nil }
    return [
      "stage": .string(MigrationStage.final.rawValue), "status": .string(MigrationWord.failed.rawValue),
      "finishTimestamp": .string(Timestamp.text(now)),
      "reason": .string(ResourceKind.action.storedFault(action) ?? reason(action.spec["actionType"]?.string ?? "")),
    ]
  }

  private static func reason(_ type: String) -> String {
    switch type {
    case "failover":
      missing
        + "while the source answers, run a Migration with startApplications: true there; if it is lost, clone the newest "
        + "recovery points here and start the applications on the clones"
    case "failback":
      missing
        + "pair the sites the other way round, import the live files here as volumes of this site and migrate those"
    case "nearsyncFailover":
      "near-synchronous replication is not offered; nothing was changed"
    default: "invalid value received for Action.Spec.ActionType"
    }
  }

  private static let missing = "failover and failback are not carried out by this version; nothing was changed; "
}
