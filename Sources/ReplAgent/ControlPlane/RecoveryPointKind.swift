import APIModel
import KubeModel

extension ResourceKind {
  /// What a volume can be brought back to. Read only: the engine makes and removes them.
  static let recoveryPoint: ResourceKind = {
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

extension Schema {
  /// Fields of a RecoveryPoint.
  static let recoveryPoint: [Field] = [
    .object(
      "spec", "What the point is of.",
      [
        .string("volume", "Name of the volume in this namespace."), .string("volumeID", "Identity of the volume."),
        .string("sourceCluster", "Cluster the volume comes from."),
        .integer("generation", "Number of the point within its volume, counted at the source."),
        .time("takenAt", "When the source froze the volume, by its clock."),
      ]),
    .object(
      "status", "What is known about it here.",
      [
        .string(
          "state", "Whether it may be used.", values: ["sealed", "suspect", "quarantined", "orphaned", "promoted"]),
        .time("sealedAt", "When it was proven equal to the source and made durable, by this site's clock."),
        .integer("sizeBytes", "Size of the volume."),
        .integer("lagSeconds", "How old the data is: seconds since takenAt, when it was asked for."),
        .object("seal", "What it was proven with.", [.string("fingerprint", "Fingerprint of the whole volume.")]),
        .string("group", "Group of volumes frozen together."),
        .string("consistency", "What is promised about writes under way when it was taken."),
        .string("proof", "How it was proven: full when every block was read."),
        .time("provenAt", "When it was last read whole and found equal to its seal."),
        .string("path", "Where it lies; empty when it cannot be read."),
      ]),
  ]
}
