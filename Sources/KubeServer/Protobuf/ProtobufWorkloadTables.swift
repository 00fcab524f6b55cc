/// Deployments, stateful sets and jobs.
extension ProtobufMessage {
  /// What `UpdateScale` of a workload's client writes; none at all is a number of replicas, too.
  static let scale = ProtobufMessage([
    1: .message("metadata", objectMeta),
    2: .message("spec", ProtobufMessage([1: .optionalNumber("replicas")])),
    3: .message("status", ProtobufMessage([1: .number("replicas"), 2: .text("selector")])),
  ])

  private static let deploymentStatus = ProtobufMessage([
    1: .number("observedGeneration"), 2: .number("replicas"), 3: .number("updatedReplicas"),
    4: .number("availableReplicas"), 5: .number("unavailableReplicas"),
    6: .messages(
      "conditions",
      ProtobufMessage([
        1: .text("type"), 2: .text("status"), 4: .text("reason"), 5: .text("message"), 6: .time("lastUpdateTime"),
        7: .time("lastTransitionTime"),
      ])),
    7: .number("readyReplicas"), 8: .optionalNumber("collisionCount"), 9: .optionalNumber("terminatingReplicas"),
  ])

  static let deployment = ProtobufMessage([
    1: .message("metadata", objectMeta),
    2: .message(
      "spec",
      ProtobufMessage([
        1: .optionalNumber("replicas"), 2: .message("selector", labelSelector), 3: .message("template", podTemplate),
        4: .message(
          "strategy",
          ProtobufMessage([
            1: .text("type"),
            2: .message(
              "rollingUpdate",
              ProtobufMessage([1: .optionalIntOrString("maxUnavailable"), 2: .optionalIntOrString("maxSurge")])),
          ])),
        5: .number("minReadySeconds"), 6: .optionalNumber("revisionHistoryLimit"), 7: .flag("paused"),
        9: .optionalNumber("progressDeadlineSeconds"),
      ])),
    3: .message("status", deploymentStatus),
  ])

  private static let statefulSetSpec = ProtobufMessage([
    1: .optionalNumber("replicas"), 2: .message("selector", labelSelector), 3: .message("template", podTemplate),
    4: .messages("volumeClaimTemplates", persistentVolumeClaim), 5: .text("serviceName"),
    6: .text("podManagementPolicy"),
    7: .message(
      "updateStrategy",
      ProtobufMessage([
        1: .text("type"),
        2: .message(
          "rollingUpdate",
          ProtobufMessage([1: .optionalNumber("partition"), 2: .optionalIntOrString("maxUnavailable")])),
      ])),
    8: .optionalNumber("revisionHistoryLimit"), 9: .number("minReadySeconds"),
    10: .message(
      "persistentVolumeClaimRetentionPolicy", ProtobufMessage([1: .text("whenDeleted"), 2: .text("whenScaled")])),
    11: .message("ordinals", ProtobufMessage([1: .number("start")])),
  ])

  static let statefulSet = ProtobufMessage([
    1: .message("metadata", objectMeta), 2: .message("spec", statefulSetSpec),
    3: .message(
      "status",
      ProtobufMessage([
        1: .number("observedGeneration"), 2: .number("replicas"), 3: .number("readyReplicas"),
        4: .number("currentReplicas"), 5: .number("updatedReplicas"), 6: .text("currentRevision"),
        7: .text("updateRevision"), 9: .optionalNumber("collisionCount"),
        10: .messages(
          "conditions",
          ProtobufMessage([
            1: .text("type"), 2: .text("status"), 3: .time("lastTransitionTime"), 4: .text("reason"),
            5: .text("message"),
          ])),
        11: .number("availableReplicas"),
      ])),
  ])

  private static let jobSpec = ProtobufMessage([
    1: .optionalNumber("parallelism"), 2: .optionalNumber("completions"), 3: .optionalNumber("activeDeadlineSeconds"),
    4: .message("selector", labelSelector), 5: .optionalFlag("manualSelector"), 6: .message("template", podTemplate),
    7: .optionalNumber("backoffLimit"), 8: .optionalNumber("ttlSecondsAfterFinished"), 9: .text("completionMode"),
    10: .optionalFlag("suspend"), 12: .optionalNumber("backoffLimitPerIndex"), 13: .optionalNumber("maxFailedIndexes"),
    14: .text("podReplacementPolicy"), 15: .text("managedBy"),
  ])

  static let job = ProtobufMessage([
    1: .message("metadata", objectMeta), 2: .message("spec", jobSpec),
    3: .message(
      "status",
      ProtobufMessage([
        1: .messages("conditions", probedCondition), 2: .time("startTime"), 3: .time("completionTime"),
        4: .number("active"), 5: .number("succeeded"), 6: .number("failed"), 7: .text("completedIndexes"),
        8: .message("uncountedTerminatedPods", ProtobufMessage([1: .texts("succeeded"), 2: .texts("failed")])),
        9: .optionalNumber("ready"), 10: .text("failedIndexes"), 11: .optionalNumber("terminating"),
      ])),
  ])

  static let cronJob = ProtobufMessage([
    1: .message("metadata", objectMeta),
    2: .message(
      "spec",
      ProtobufMessage([
        1: .text("schedule"), 2: .optionalNumber("startingDeadlineSeconds"), 3: .text("concurrencyPolicy"),
        4: .optionalFlag("suspend"),
        5: .message(
          "jobTemplate", ProtobufMessage([1: .message("metadata", objectMeta), 2: .message("spec", jobSpec)])),
        6: .optionalNumber("successfulJobsHistoryLimit"), 7: .optionalNumber("failedJobsHistoryLimit"),
        8: .text("timeZone"),
      ])),
    3: .message(
      "status",
      ProtobufMessage([
        1: .messages("active", objectReference), 4: .time("lastScheduleTime"), 5: .time("lastSuccessfulTime"),
      ])),
  ])
}
