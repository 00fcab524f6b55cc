/// Services, volumes and claims.
extension ProtobufMessage {
  static let labelSelector = ProtobufMessage([
    1: .textMap("matchLabels"),
    2: .messages(
      "matchExpressions", ProtobufMessage([1: .text("key"), 2: .text("operator"), 3: .texts("values")])),
  ])

  static let metaCondition = ProtobufMessage([
    1: .text("type"), 2: .text("status"), 3: .number("observedGeneration"), 4: .time("lastTransitionTime"),
    5: .text("reason"), 6: .text("message"),
  ])

  /// Conditions of claims, jobs and others with a time of probing.
  static let probedCondition = ProtobufMessage([
    1: .text("type"), 2: .text("status"), 3: .time("lastProbeTime"), 4: .time("lastTransitionTime"),
    5: .text("reason"), 6: .text("message"),
  ])

  private static let servicePort = ProtobufMessage([
    1: .text("name"), 2: .text("protocol"), 3: .number("port"), 4: .intOrString("targetPort"), 5: .number("nodePort"),
    6: .text("appProtocol"),
  ])

  private static let serviceSpec = ProtobufMessage([
    1: .messages("ports", servicePort), 2: .textMap("selector"), 3: .text("clusterIP"), 4: .text("type"),
    5: .texts("externalIPs"), 7: .text("sessionAffinity"), 8: .text("loadBalancerIP"),
    9: .texts("loadBalancerSourceRanges"), 10: .text("externalName"), 11: .text("externalTrafficPolicy"),
    12: .number("healthCheckNodePort"), 13: .flag("publishNotReadyAddresses"),
    14: .message(
      "sessionAffinityConfig",
      ProtobufMessage([1: .message("clientIP", ProtobufMessage([1: .optionalNumber("timeoutSeconds")]))])),
    17: .text("ipFamilyPolicy"), 18: .texts("clusterIPs"), 19: .texts("ipFamilies"),
    20: .optionalFlag("allocateLoadBalancerNodePorts"), 21: .text("loadBalancerClass"),
    22: .text("internalTrafficPolicy"), 23: .text("trafficDistribution"),
  ])

  private static let ingress = ProtobufMessage([
    1: .text("ip"), 2: .text("hostname"), 3: .text("ipMode"),
    4: .messages("ports", ProtobufMessage([1: .number("port"), 2: .text("protocol"), 3: .text("error")])),
  ])

  static let service = ProtobufMessage([
    1: .message("metadata", objectMeta), 2: .message("spec", serviceSpec),
    3: .message(
      "status",
      ProtobufMessage([
        1: .message("loadBalancer", ProtobufMessage([1: .messages("ingress", ingress)])),
        2: .messages("conditions", metaCondition),
      ])),
  ])

  static let resources = ProtobufMessage([1: .quantityMap("limits"), 2: .quantityMap("requests")])

  private static let claimSpec = ProtobufMessage([
    1: .texts("accessModes"), 2: .message("resources", resources), 3: .text("volumeName"),
    4: .message("selector", labelSelector), 5: .optionalText("storageClassName"), 6: .text("volumeMode"),
    7: .message("dataSource", ProtobufMessage([1: .optionalText("apiGroup"), 2: .text("kind"), 3: .text("name")])),
    8: .message(
      "dataSourceRef",
      ProtobufMessage([1: .optionalText("apiGroup"), 2: .text("kind"), 3: .text("name"), 4: .text("namespace")])),
    9: .text("volumeAttributesClassName"),
  ])

  static let persistentVolumeClaim = ProtobufMessage([
    1: .message("metadata", objectMeta), 2: .message("spec", claimSpec),
    3: .message(
      "status",
      ProtobufMessage([
        1: .text("phase"), 2: .texts("accessModes"), 3: .quantityMap("capacity"),
        4: .messages("conditions", probedCondition), 5: .quantityMap("allocatedResources"),
        7: .textMap("allocatedResourceStatuses"), 8: .text("currentVolumeAttributesClassName"),
        9: .message(
          "modifyVolumeStatus", ProtobufMessage([1: .text("targetVolumeAttributesClassName"), 2: .text("status")])),
      ])),
  ])

  private static let secretReference = ProtobufMessage([1: .text("name"), 2: .text("namespace")])

  /// The sources that are read; a volume of another one is refused.
  private static let volumeSource = ProtobufMessage([
    3: .message("hostPath", ProtobufMessage([1: .text("path"), 2: .text("type")])),
    5: .message("nfs", ProtobufMessage([1: .text("server"), 2: .text("path"), 3: .flag("readOnly")])),
    20: .message("local", ProtobufMessage([1: .text("path"), 2: .text("fsType")])),
    22: .message(
      "csi",
      ProtobufMessage([
        1: .text("driver"), 2: .text("volumeHandle"), 3: .flag("readOnly"), 4: .text("fsType"),
        5: .textMap("volumeAttributes"), 6: .message("controllerPublishSecretRef", secretReference),
        7: .message("nodeStageSecretRef", secretReference), 8: .message("nodePublishSecretRef", secretReference),
        9: .message("controllerExpandSecretRef", secretReference), 10: .message("nodeExpandSecretRef", secretReference),
      ])),
  ])

  private static let nodeRequirement = ProtobufMessage([1: .text("key"), 2: .text("operator"), 3: .texts("values")])

  private static let nodeSelector = ProtobufMessage([
    1: .messages(
      "nodeSelectorTerms",
      ProtobufMessage([
        1: .messages("matchExpressions", nodeRequirement), 2: .messages("matchFields", nodeRequirement),
      ]))
  ])

  static let persistentVolume = ProtobufMessage([
    1: .message("metadata", objectMeta),
    2: .message(
      "spec",
      ProtobufMessage([
        1: .quantityMap("capacity"), 2: .inline(volumeSource), 3: .texts("accessModes"),
        4: .message("claimRef", objectReference), 5: .text("persistentVolumeReclaimPolicy"),
        6: .text("storageClassName"), 7: .texts("mountOptions"), 8: .text("volumeMode"),
        9: .message("nodeAffinity", ProtobufMessage([1: .message("required", nodeSelector)])),
        10: .text("volumeAttributesClassName"),
      ])),
    3: .message(
      "status",
      ProtobufMessage([
        1: .text("phase"), 2: .text("message"), 3: .text("reason"), 4: .time("lastPhaseTransitionTime"),
      ])),
  ])

  private static let topologyTerm = ProtobufMessage([
    1: .messages("matchLabelExpressions", ProtobufMessage([1: .text("key"), 2: .texts("values")]))
  ])

  static let storageClass = ProtobufMessage([
    1: .message("metadata", objectMeta), 2: .text("provisioner"), 3: .textMap("parameters"), 4: .text("reclaimPolicy"),
    5: .texts("mountOptions"), 6: .optionalFlag("allowVolumeExpansion"), 7: .text("volumeBindingMode"),
    8: .messages("allowedTopologies", topologyTerm),
  ])
}
