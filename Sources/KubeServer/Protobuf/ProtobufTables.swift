/// Field numbers of the messages clients send as protobuf, from the published definitions of the Kubernetes API.
///
/// A table may leave fields out: a body that uses one of them is refused, so that nothing is lost silently.
extension ProtobufMessage {
  /// The message of a kind; nil for kinds whose protobuf form is not read here.
  static func of(apiVersion: String, kind: String) -> ProtobufMessage? {
    switch (apiVersion, kind) {
    case ("v1", "Namespace"): namespace
    case ("v1", "ConfigMap"): configMap
    case ("v1", "Secret"): secret
    case ("v1", "ServiceAccount"): serviceAccount
    case ("v1", "Event"): event
    case ("coordination.k8s.io/v1", "Lease"): lease
    case ("v1", "Service"): service
    case ("v1", "PersistentVolume"): persistentVolume
    case ("v1", "PersistentVolumeClaim"): persistentVolumeClaim
    case ("storage.k8s.io/v1", "StorageClass"): storageClass
    case ("apps/v1", "Deployment"): deployment
    case ("apps/v1", "StatefulSet"): statefulSet
    case ("batch/v1", "Job"): job
    case ("batch/v1", "CronJob"): cronJob
    case ("autoscaling/v1", "Scale"): scale
    case (_, "DeleteOptions"): deleteOptions
    default: nil
    }
  }

  private static let ownerReference = ProtobufMessage([
    1: .text("kind"), 3: .text("name"), 4: .text("uid"), 5: .text("apiVersion"), 6: .optionalFlag("controller"),
    7: .optionalFlag("blockOwnerDeletion"),
  ])

  static let objectMeta = ProtobufMessage([
    1: .text("name"), 2: .text("generateName"), 3: .text("namespace"), 5: .text("uid"), 6: .text("resourceVersion"),
    7: .number("generation"), 8: .time("creationTimestamp"), 9: .time("deletionTimestamp"),
    10: .optionalNumber("deletionGracePeriodSeconds"), 11: .textMap("labels"), 12: .textMap("annotations"),
    13: .messages("ownerReferences", ownerReference), 14: .texts("finalizers"), 4: .ignored, 17: .ignored,
  ])

  static let objectReference = ProtobufMessage([
    1: .text("kind"), 2: .text("namespace"), 3: .text("name"), 4: .text("uid"), 5: .text("apiVersion"),
    6: .text("resourceVersion"), 7: .text("fieldPath"),
  ])

  private static let namespaceCondition = ProtobufMessage([
    1: .text("type"), 2: .text("status"), 4: .time("lastTransitionTime"), 5: .text("reason"), 6: .text("message"),
  ])

  private static let namespace = ProtobufMessage([
    1: .message("metadata", objectMeta),
    2: .message("spec", ProtobufMessage([1: .texts("finalizers")])),
    3: .message(
      "status", ProtobufMessage([1: .text("phase"), 2: .messages("conditions", namespaceCondition)])),
  ])

  private static let configMap = ProtobufMessage([
    1: .message("metadata", objectMeta), 2: .textMap("data"), 3: .bytesMap("binaryData"), 4: .optionalFlag("immutable"),
  ])

  private static let secret = ProtobufMessage([
    1: .message("metadata", objectMeta), 2: .bytesMap("data"), 3: .text("type"), 4: .textMap("stringData"),
    5: .optionalFlag("immutable"),
  ])

  private static let serviceAccount = ProtobufMessage([
    1: .message("metadata", objectMeta), 2: .messages("secrets", objectReference),
    3: .messages("imagePullSecrets", ProtobufMessage([1: .text("name")])),
    4: .optionalFlag("automountServiceAccountToken"),
  ])

  private static let event = ProtobufMessage([
    1: .message("metadata", objectMeta), 2: .message("involvedObject", objectReference), 3: .text("reason"),
    4: .text("message"),
    5: .message("source", ProtobufMessage([1: .text("component"), 2: .text("host")])),
    6: .time("firstTimestamp"), 7: .time("lastTimestamp"), 8: .number("count"), 9: .text("type"),
    10: .microTime("eventTime"),
    11: .message("series", ProtobufMessage([1: .number("count"), 2: .microTime("lastObservedTime")])),
    12: .text("action"), 13: .message("related", objectReference), 14: .text("reportingComponent"),
    15: .text("reportingInstance"),
  ])

  private static let leaseSpec = ProtobufMessage([
    1: .optionalText("holderIdentity"), 2: .optionalNumber("leaseDurationSeconds"), 3: .microTime("acquireTime"),
    4: .microTime("renewTime"), 5: .optionalNumber("leaseTransitions"), 6: .optionalText("strategy"),
    7: .optionalText("preferredHolder"),
  ])

  private static let lease = ProtobufMessage([1: .message("metadata", objectMeta), 2: .message("spec", leaseSpec)])

  private static let deleteOptions = ProtobufMessage([
    1: .optionalNumber("gracePeriodSeconds"),
    2: .message(
      "preconditions", ProtobufMessage([1: .optionalText("uid"), 2: .optionalText("resourceVersion")])),
    3: .optionalFlag("orphanDependents"), 4: .optionalText("propagationPolicy"), 5: .texts("dryRun"),
  ])
}
