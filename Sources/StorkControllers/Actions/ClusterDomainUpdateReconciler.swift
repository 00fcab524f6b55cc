import APIModel
import KubeModel

/// Ends every ClusterDomainUpdate as failed: the sites are clusters of their own, so there are no domains to switch.
struct ClusterDomainUpdateReconciler: Reconciler {
  let kind = ResourceKind.clusterDomainUpdate
  var store: any KubeStore
  var events: EventRecorder

  func reconcile(_ key: ObjectKey) async throws(StatusError) -> Duration? {
    let update = try await store.get(kind, namespace: "", name: key.name)
    guard !update.isDeleting, let status = Self.end(update) else { return nil }
    let ended = try await store.change(kind, namespace: "", name: key.name) {
      old throws(StatusError) in
      guard old.resourceVersion == update.resourceVersion else {
        throw ResourceKind.clusterDomainUpdate.conflict(old.name)
      }
      var new = old
      new.json["status"] = status
      return new
    }
    await events.record(ended, warning: true, reason: "Failed", message: status["reason"]?.string ?? "")
    return nil
  }

  /// The status an update ends with; nil for one that has ended. Pure.
  static func end(_ update: KubeObject) -> JSONValue? {
    guard update.word?.hasEnded != true else { return nil }
    if let fault = ResourceKind.clusterDomainUpdate.storedFault(update) {
      return ["status": "Failed", "reason": .string(fault)]
    }
    let verb = update.spec["active"]?.bool == true ? "activate" : "deactivate"
    return [
      "status": "Failed",
      "reason": .string(
        "unable to \(verb) cluster domain: failure domains are not switched by this version; suspend or resume the "
          + "MigrationSchedules instead"),
    ]
  }
}
