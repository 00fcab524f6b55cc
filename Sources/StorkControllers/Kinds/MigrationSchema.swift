import KubeModel

extension Schema {
  /// Fields of a Migration.
  static let migration: [Field] = [
    .object("spec", "What is shipped where.", migrationSpec),
    .object("status", "How far it has come.", migrationStatus),
  ]

  /// Fields of a MigrationSchedule.
  static let migrationSchedule: [Field] = [
    .object(
      "spec", "What is shipped and when.",
      [
        .object(
          "template", "Every Migration of this schedule is made from this.",
          [.object("spec", "Copied as it is into every Migration.", migrationSpec)]),
        .string(
          "schedulePolicyName",
          "Name of the policy: a NamespacedSchedulePolicy of this namespace, else a SchedulePolicy."),
        .boolean("suspend", "Whether no new Migrations are made. false unless given."),
        .boolean(
          "autoSuspend",
          "Whether the schedule suspends itself once the applications were activated at the other site."),
      ]),
    .object(
      "status", "What the schedule has made.",
      [
        .mapOf(
          "items", "Migrations by kind of trigger: Interval, Daily, Weekly, Monthly; the oldest first.",
          Schema(form: .list(.object("", scheduledItem), .atomic), text: "")),
        .boolean("applicationActivated", "Whether the applications of the copy at the destination were activated."),
      ]),
  ]

  private static let scheduledItem: [Field] = [
    .string("name", "Name of the Migration."), .time("creationTimestamp", "When it was triggered."),
    .time("finishTimestamp", "When it was seen to be done."),
    .string("status", "Status of the Migration.", values: migrationStates),
  ]

  private static let migrationStates = [
    "", "Pending", "InProgress", "Failed", "PartialSuccess", "Successful", "Purged",
  ]

  static let migrationSpec: [Field] = [
    .string("clusterPair", "Name of a ClusterPair in the same namespace: where to. Required."),
    .string("adminClusterPair", "Name of a ClusterPair in the admin namespace, for cluster-wide resources."),
    .strings("namespaces", "Namespaces to ship. Others than the Migration's own only from the admin namespace."),
    .map("namespaceSelectors", "Adds the namespaces that carry any of these labels."),
    .boolean(
      "includeResources",
      "Whether resources are shipped besides volumes. true unless given; false leaves the"
        + " PersistentVolumes and claims of the volumes."),
    .boolean("includeVolumes", "Whether the data of volumes is shipped. true unless given."),
    .boolean(
      "startApplications",
      "Whether workloads run at the destination: they keep their replicas and volumes go live."
        + " false unless given."),
    .boolean(
      "purgeDeletedResources",
      "Whether objects that are gone at the source are deleted at the destination. Never data. false unless given."),
    .boolean("skipServiceUpdate", "Whether Services keep their addresses as they are at the source."),
    .boolean("includeNetworkPolicyWithCIDR", "Whether NetworkPolicies with blocks of addresses are shipped too."),
    .map("selectors", "Ships only objects that carry all of these labels."),
    .map("excludeSelectors", "Leaves out objects that carry any of these labels."),
    .string("preExecRule", "Name of a Rule in this namespace that runs before the snapshots."),
    .string("postExecRule", "Name of a Rule in this namespace that runs after the snapshots."),
    .strings("includeOptionalResourceTypes", "Kinds shipped only when named here: Job."),
    .boolean("skipDeletedNamespaces", "Whether a namespace that does not exist is left out. true unless given."),
    .strings("transformSpecs", "Name of at most one ResourceTransformation."),
    .boolean("ignoreOwnerReferencesCheck", "Whether objects that belong to others are shipped by themselves too."),
    .strings("excludeResourceTypes", "Kinds to leave out."),
  ]

  private static let migrationStatus: [Field] = [
    .string(
      "stage", "Step it is at.", values: ["", "PreExecRule", "PostExecRule", "Volumes", "Applications", "Final"]),
    .string("status", "How it stands as a whole.", values: migrationStates),
    .strings("namespaces", "Namespaces that were chosen when it began."),
    .objects(
      "volumes", "One entry for each volume. null: not begun; empty: begun, and there are none.",
      [
        .string("persistentVolumeClaim", "Name of the claim."), .string("namespace", "Namespace of the claim."),
        .string("volume", "Name of the PersistentVolume."),
        .string("status", "How it stands.", values: migrationStates), .string("reason", "Why, in words."),
        .uint64("bytesTotal", "Bytes shipped."),
      ]),
    .objects(
      "resources", "One entry for each resource.",
      [
        .string("name", "Name of the resource."), .string("namespace", "Namespace of the resource."),
        .string("group", "API group; core for the core group."), .string("version", "API version."),
        .string("kind", "Kind."), .string("status", "How it stands.", values: migrationStates),
        .string("reason", "Why, in words."), .string("transformedBy", "ResourceTransformation that changed it."),
      ]),
    .time("finishTimestamp", "When it ended."),
    .time("volumeMigrationFinishTimestamp", "When the volumes were done."),
    .time("resourceMigrationFinishTimestamp", "When the resources were done."),
    .object("summary", "Totals.", migrationSummary),
  ]

  private static let migrationSummary: [Field] = [
    .uint64("totalNumberOfVolumes", "Volumes there are."), .uint64("numOfMigratedVolumes", "Volumes that are done."),
    .uint64("totalNumberOfResources", "Resources there are."),
    .uint64("numOfMigratedResources", "Resources that are done."),
    .uint64("totalBytesMigrated", "Bytes of the volumes that are done."),
    .string("elapsedTimeForVolumeMigration", "How long the volumes took: 5m0s."),
    .string("elapsedTimeForResourceMigration", "How long the resources took; NA before they begin."),
  ]
}
