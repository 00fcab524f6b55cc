import KubeModel

extension Schema {
  /// Fields of a ClusterDomainsStatus.
  static let clusterDomainsStatus: [Field] = [
    .object(
      "status", "The domains and their states, as this agent knows them.",
      [
        .string("localDomain", "Domain of this node; empty when the cluster is not stretched."),
        .objects(
          "clusterDomainInfos", "One entry for each domain.",
          [
            .string("name", "Name of the domain."),
            .string("state", "Whether it takes part.", values: ["Active", "Inactive"]),
            .string(
              "syncStatus", "How its data stands.",
              values: ["InSync", "SyncInProgress", "NotInSync", "SyncStatusUnknown"]),
          ]),
      ])
  ]

  /// Fields of a ClusterDomainUpdate.
  static let clusterDomainUpdate: [Field] = [
    .object(
      "spec", "The domain and what it is to be.",
      [
        .string("clusterdomain", "Name of the domain."),
        .boolean("active", "true activates the domain, false deactivates it. false unless given."),
      ]),
    .object(
      "status", "How it went.",
      [
        .string("status", "The result.", values: ["", "Pending", "Failed", "Successful"]),
        .string("reason", "Why it failed."),
      ]),
  ]

  /// Fields of an Action.
  static let action: [Field] = [
    .object(
      "spec", "What to do.",
      [
        .string("actionType", "The kind of action.", values: ["failover", "failback", "nearsyncFailover"]),
        .object(
          "actionParameter", "What to do it to.",
          [
            .object("failoverParameter", "For a failover.", actionParameter("failoverNamespaces")),
            .object("failbackParameter", "For a failback.", actionParameter("failbackNamespaces")),
          ]),
      ]),
    .object(
      "status", "How far it has come.",
      [
        .string(
          "stage", "Step it is at.",
          values: [
            "", "ScaleDownDestination", "ScaleDownSource", "ScaleUpDestination", "ScaleUpSource", "LastMileMigration",
            "WaitAfterScaleDown", "Final",
          ]),
        .string(
          "status", "How the step stands.", values: ["", "Scheduled", "In-Progress", "Failed", "Successful"]),
        .time("finishTimestamp", "When the step before ended."),
        .string("reason", "Why it failed."),
        .object(
          "summary", "Results for each namespace.",
          [
            .objects("failoverSummary", "Of a failover.", actionResult),
            .objects("failbackSummary", "Of a failback.", actionResult),
          ]),
      ]),
  ]

  private static func actionParameter(_ namespaces: String) -> [Field] {
    [
      .strings(namespaces, "Namespaces concerned."),
      .string("migrationScheduleReference", "Name of a MigrationSchedule in the Action's namespace."),
      .boolean("skipSourceOperations", "Whether the source is left alone."),
    ]
  }

  private static let actionResult: [Field] = [
    .string("namespace", "The namespace."),
    .string(
      "status", "The result; also RollbackSuccessful and RollbackFailed."), .string("reason", "Why, in words."),
  ]

  /// Fields of a BackupLocation, as the Stork clients write them.
  static let backupLocation: [Field] = [
    .object(
      "location", "The store.",
      [
        .string("type", "s3, azure, google or nfs."), .string("path", "Bucket or directory."),
        .string("encryptionKey", "Kept."), .string("encryptionV2Key", "Kept."),
        .string("secretConfig", "Name of a Secret with the credentials."), .boolean("sync", "Kept."),
        .string("repositoryPassword", "Kept."), .opaque("s3Config", "Settings of S3."),
        .opaque("azureConfig", "Settings of Azure."), .opaque("googleConfig", "Settings of Google."),
        .opaque("nfsConfig", "Settings of NFS."),
      ]),
    .opaque("cluster", "Kept."), .any("secretRef", "Kept."),
  ]

  /// Fields of a Rule.
  static let rule: [Field] = [
    .objects(
      "rules", "Hooks, run one after the other.",
      [
        .map("podSelector", "Labels of the pods meant. Kept; hooks run on the node."),
        .string("container", "Container meant. Kept; hooks run on the node."),
        .objects(
          "actions", "What is run.",
          [
            .string("type", "The kind of action.", values: ["command"]),
            .string("value", "Name of a file in the agent's directory of hooks. Free shell text is refused."),
            .boolean("background", "Whether it goes on while the snapshots are taken. Refused in post rules."),
            .boolean("runInSinglePod", "Whether one pod is enough. Kept; hooks run once on the node."),
          ]),
      ])
  ]
}
