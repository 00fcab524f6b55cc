import APIModel
import ReplModel

extension ResourceKind {
  /// What a volume can be brought back to. Read only: the engine makes and removes them.
  public static let recoveryPoint: ResourceKind = {
    var kind = ResourceKind(
      group: "storage.repl-agent", version: "v1alpha1", kind: "RecoveryPoint", plural: "recoverypoints",
      namespaced: true, custom: true)
    kind.description =
      "A moment a volume can be brought back to, proven equal to its source. Made and removed by the agent only."
    kind.fields = Schema.recoveryPoint
    kind.shortNames = ["rp"]
    kind.verbs = readOnly
    kind.fieldSelectors = ["spec.volume", "status.state"]
    kind.columns = [
      .name, .path("Volume", "spec.volume"), .path("State", "status.state"),
      Column("Taken") { object, now in Cells.age(object.spec["takenAt"], now) },
      Column("Lag") { object, _ in
        .string(object.status["lagSeconds"]?.integer.map(DurationText.age) ?? "<unknown>")
      },
      Column("Size") { object, _ in
        .string(object.status["sizeBytes"]?.integer.map { Quantity.rounded(UInt64(clamping: $0)) } ?? "")
      },
      .path("Consistency", "status.consistency"), .path("Proof", "status.proof"), .age,
      .path("Source", "spec.sourceCluster", priority: 1, missing: "<here>"),
      .path("Generation", "spec.generation", priority: 1),
      .path("Proven", "status.provenAt", priority: 1, missing: "<never>"), .path("Group", "status.group", priority: 1),
      .path("Fingerprint", "status.seal.fingerprint", priority: 1),
      .path("Path", "status.path", priority: 1, missing: "<none>"),
    ]
    return kind
  }()
}
