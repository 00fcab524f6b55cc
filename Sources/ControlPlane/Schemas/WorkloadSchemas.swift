extension Schema {
  /// Fields of a Deployment.
  static let deployment: [Field] = [
    .object(
      "spec", "What runs and how often.",
      [
        .integer("replicas", "How many pods. 1 unless given."),
        labelSelector("selector", "Labels of its pods. Cannot be changed."),
        podTemplate("Every pod is made from this."),
        .any("strategy", "How pods are replaced."), .integer("minReadySeconds", "How long a pod must be ready."),
        .integer("revisionHistoryLimit", "Old versions to keep. 10 unless given."),
        .boolean("paused", "Whether changes wait."), .integer("progressDeadlineSeconds", "When it counts as stuck."),
      ]),
    .object(
      "status", "What runs.",
      [
        .integer("replicas", "Pods there are."), .integer("readyReplicas", "Pods that are ready."),
        .integer("updatedReplicas", "Pods of the newest version."), .integer("availableReplicas", "Pods in service."),
        .integer("observedGeneration", "Generation this is about."), conditions("State of the deployment."),
        .integer("unavailableReplicas", "Pods that are missing."),
        .integer("terminatingReplicas", "Pods that are ending."),
        .integer("collisionCount", "Names tried twice."),
      ]),
  ]

  /// Fields of a StatefulSet.
  static let statefulSet: [Field] = [
    .object(
      "spec", "What runs and how often.",
      [
        .integer("replicas", "How many pods. 1 unless given."),
        labelSelector("selector", "Labels of its pods. Cannot be changed."),
        podTemplate("Every pod is made from this."),
        .objects(
          "volumeClaimTemplates", "Claims made for every pod. Cannot be changed.",
          ResourceKind.persistentVolumeClaim.schema.fields),
        .string("serviceName", "Service its pods are named in. Cannot be changed."),
        .string("podManagementPolicy", "OrderedReady or Parallel."), .any("updateStrategy", "How pods are replaced."),
        .integer("revisionHistoryLimit", "Old versions to keep. 10 unless given."),
        .integer("minReadySeconds", "How long a pod must be ready."),
        .any("persistentVolumeClaimRetentionPolicy", "What becomes of the claims."),
        .any("ordinals", "Numbers of the pods."),
      ]),
    .object(
      "status", "What runs.",
      [
        .integer("replicas", "Pods there are."), .integer("readyReplicas", "Pods that are ready."),
        .integer("currentReplicas", "Pods of the version before."),
        .integer("updatedReplicas", "Pods of the newest version."), .integer("availableReplicas", "Pods in service."),
        .integer("observedGeneration", "Generation this is about."), .string("currentRevision", "Version before."),
        .string("updateRevision", "Newest version."), .integer("collisionCount", "Names tried twice."),
        conditions("State of the set."),
      ]),
  ]

  /// Fields of a Job.
  static let job: [Field] = [
    .object("spec", "What runs to its end.", jobSpec),
    .object(
      "status", "How far it has come.",
      [
        .integer("active", "Pods that run."), .integer("succeeded", "Pods that ended well."),
        .integer("failed", "Pods that failed."), .integer("ready", "Pods that are ready."),
        .time("startTime", "When it began."), .time("completionTime", "When it ended."),
        .integer("terminating", "Pods that are ending."), .string("completedIndexes", "Indexes that ended well."),
        .string("failedIndexes", "Indexes that failed."), .any("uncountedTerminatedPods", "Pods not counted yet."),
        conditions("State of the job.", key: ListKeys(patch: "type", apply: [])),
      ]),
  ]

  static let jobSpec: [Field] = [
    .integer("parallelism", "Pods at a time. 1 unless given."), .integer("completions", "Pods that must end well."),
    .integer("backoffLimit", "Failures allowed. 6 unless given."),
    .integer("activeDeadlineSeconds", "How long it may run."),
    .integer("ttlSecondsAfterFinished", "How long it is kept."),
    labelSelector("selector", "Labels of its pods. Cannot be changed."),
    .boolean("manualSelector", "Whether the selector was given by hand."),
    podTemplate("Every pod is made from this. Cannot be changed."), .boolean("suspend", "Whether it waits."),
    .string("completionMode", "NonIndexed or Indexed."), .string("podReplacementPolicy", "When pods are replaced."),
    .any("podFailurePolicy", "Which failures count."), .any("successPolicy", "When it has done enough."),
    .integer("backoffLimitPerIndex", "Failures allowed for each index."),
    .integer("maxFailedIndexes", "Indexes that may fail."), .any("failedPodsLimit", "Pods that may fail."),
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
        .integer("successfulJobsHistoryLimit", "Jobs kept that ended well. 3 unless given."),
        .integer("failedJobsHistoryLimit", "Jobs kept that failed. 1 unless given."),
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

  /// Fields of a Scale.
  static let scale: [Field] = [
    .object("spec", "What is wanted.", [.integer("replicas", "How many.")]),
    .object(
      "status", "What there is.", [.integer("replicas", "How many."), .string("selector", "Which pods, as a query.")]),
  ]
}
