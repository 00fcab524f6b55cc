extension Schema {
  /// Fields of a Deployment.
  static let deployment: [Field] = [
    .object(
      "spec", "What runs and how often.",
      [
        .int32("replicas", "How many pods. 1 unless given."),
        labelSelector("selector", "Labels of its pods. Cannot be changed."),
        podTemplate("Every pod is made from this."),
        rolling(
          "strategy",
          [
            .intOrString("maxSurge", "Pods beyond the wanted number."),
            .intOrString("maxUnavailable", "Pods that may be missing."),
          ]), .int32("minReadySeconds", "How long a pod must be ready."),
        .int32("revisionHistoryLimit", "Old versions to keep. 10 unless given."),
        .boolean("paused", "Whether changes wait."), .int32("progressDeadlineSeconds", "When it counts as stuck."),
      ]),
    .object(
      "status", "What runs.",
      [
        .int32("replicas", "Pods there are."), .int32("readyReplicas", "Pods that are ready."),
        .int32("updatedReplicas", "Pods of the newest version."), .int32("availableReplicas", "Pods in service."),
        .integer("observedGeneration", "Generation this is about."), conditions("State of the deployment."),
        .int32("unavailableReplicas", "Pods that are missing."),
        .int32("terminatingReplicas", "Pods that are ending."),
        .int32("collisionCount", "Names tried twice."),
      ]),
  ]

  /// Fields of a StatefulSet.
  static let statefulSet: [Field] = [
    .object(
      "spec", "What runs and how often.",
      [
        .int32("replicas", "How many pods. 1 unless given."),
        labelSelector("selector", "Labels of its pods. Cannot be changed."),
        podTemplate("Every pod is made from this."),
        .objects(
          "volumeClaimTemplates", "Claims made for every pod. Cannot be changed.",
          ResourceKind.persistentVolumeClaim.schema.fields),
        .string("serviceName", "Service its pods are named in. Cannot be changed."),
        .string("podManagementPolicy", "OrderedReady or Parallel."),
        rolling(
          "updateStrategy",
          [
            .int32("partition", "Pods from this number on."),
            .intOrString("maxUnavailable", "Pods that may be missing."),
          ]),
        .int32("revisionHistoryLimit", "Old versions to keep. 10 unless given."),
        .int32("minReadySeconds", "How long a pod must be ready."),
        .object(
          "persistentVolumeClaimRetentionPolicy", "What becomes of the claims.",
          [.string("whenDeleted", "Retain or Delete."), .string("whenScaled", "Retain or Delete.")]),
        .object("ordinals", "Numbers of the pods.", [.int32("start", "The first one.")]),
      ]),
    .object(
      "status", "What runs.",
      [
        .int32("replicas", "Pods there are."), .int32("readyReplicas", "Pods that are ready."),
        .int32("currentReplicas", "Pods of the version before."),
        .int32("updatedReplicas", "Pods of the newest version."), .int32("availableReplicas", "Pods in service."),
        .integer("observedGeneration", "Generation this is about."), .string("currentRevision", "Version before."),
        .string("updateRevision", "Newest version."), .int32("collisionCount", "Names tried twice."),
        conditions("State of the set."),
      ]),
  ]

  /// Fields of a Job.
  static let job: [Field] = [
    .object("spec", "What runs to its end.", jobSpec),
    .object(
      "status", "How far it has come.",
      [
        .int32("active", "Pods that run."), .int32("succeeded", "Pods that ended well."),
        .int32("failed", "Pods that failed."), .int32("ready", "Pods that are ready."),
        .time("startTime", "When it began."), .time("completionTime", "When it ended."),
        .int32("terminating", "Pods that are ending."), .string("completedIndexes", "Indexes that ended well."),
        .string("failedIndexes", "Indexes that failed."), .opaque("uncountedTerminatedPods", "Pods not counted yet."),
        conditions("State of the job.", key: ListKeys(patch: "type", apply: [])),
      ]),
  ]

  static let jobSpec: [Field] = [
    .int32("parallelism", "Pods at a time. 1 unless given."), .int32("completions", "Pods that must end well."),
    .int32("backoffLimit", "Failures allowed. 6 unless given."),
    .integer("activeDeadlineSeconds", "How long it may run."),
    .int32("ttlSecondsAfterFinished", "How long it is kept."),
    labelSelector("selector", "Labels of its pods. Cannot be changed."),
    .boolean("manualSelector", "Whether the selector was given by hand."),
    podTemplate("Every pod is made from this. Cannot be changed."), .boolean("suspend", "Whether it waits."),
    .string("completionMode", "NonIndexed or Indexed."), .string("podReplacementPolicy", "When pods are replaced."),
    .opaque("podFailurePolicy", "Which failures count."), .opaque("successPolicy", "When it has done enough."),
    .int32("backoffLimitPerIndex", "Failures allowed for each index."),
    .int32("maxFailedIndexes", "Indexes that may fail."), .any("failedPodsLimit", "Pods that may fail."),
    .string("managedBy", "Controller that is to run it."), .any("scheduling", "How its pods are placed."),
  ]

  /// Fields of a CronJob.
  static let cronJob: [Field] = [
    .object(
      "spec", "What runs and when.",
      [
        .string("schedule", "When, in the notation of cron."), .string("timeZone", "Time zone of the schedule."),
        .string("concurrencyPolicy", "Allow, Forbid or Replace. Allow unless given."),
        .boolean("suspend", "Whether no new jobs are made."),
        .integer("startingDeadlineSeconds", "How late a job may begin."),
        .int32("successfulJobsHistoryLimit", "Jobs kept that ended well. 3 unless given."),
        .int32("failedJobsHistoryLimit", "Jobs kept that failed. 1 unless given."),
        .object(
          "jobTemplate", "Every job is made from this.",
          [Field(name: "metadata", schema: .metadata), .object("spec", "The job.", jobSpec)]),
      ]),
    .object(
      "status", "What it has made.",
      [
        .objects("active", "Jobs that run.", ownedElements: true, objectReference),
        .time("lastScheduleTime", "When it was last due."),
        .time("lastSuccessfulTime", "When a job last ended well."),
      ]),
  ]

  private static func rolling(_ name: String, _ fields: [Field]) -> Field {
    .object(
      name, "How pods are replaced.",
      [.string("type", "The way of it."), .object("rollingUpdate", "Limits while it goes on.", fields)])
  }

  /// The options of a DELETE.
  public static let deleteOptions = Schema.object(
    "",
    [
      .string("apiVersion", ""), .string("kind", ""), .string("propagationPolicy", ""),
      .boolean("orphanDependents", ""), .strings("dryRun", ""), .integer("gracePeriodSeconds", ""),
      .object("preconditions", "", [.string("uid", ""), .string("resourceVersion", "")]),
    ])

  /// Fields of a Scale.
  public static let scale: [Field] = [
    .object("spec", "What is wanted.", [.int32("replicas", "How many.")]),
    .object(
      "status", "What there is.", [.int32("replicas", "How many."), .string("selector", "Which pods, as a query.")]),
  ]
}
