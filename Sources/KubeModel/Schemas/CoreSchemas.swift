extension Schema {
  /// Fields of a Namespace.
  static let namespace: [Field] = [
    .object(
      "spec", "How the namespace ends.", [.strings("finalizers", "Who must agree before the namespace may go.")]),
    .object(
      "status", "Whether it is in use.",
      [
        .string("phase", "State of the namespace.", values: ["Active", "Terminating"]),
        conditions("What holds up its deletion."),
      ]),
  ]

  /// Fields of an Event.
  static let event: [Field] = [
    .object("involvedObject", "What the event is about.", objectReference).owned,
    .string("reason", "One word for what happened."), .string("message", "What happened, for people."),
    .object(
      "source", "Who saw it.", [.string("component", "Program that saw it."), .string("host", "Node it ran on.")]),
    .time("firstTimestamp", "When it was first seen."), .time("lastTimestamp", "When it was last seen."),
    .int32("count", "How often it was seen."), .string("type", "Normal or Warning."),
    .time("eventTime", "When it was first seen, to the microsecond."),
    .object(
      "series", "Repetitions.",
      [
        .int32("count", "How many."), .time("lastObservedTime", "When the last one was seen."),
        .string("state", "Whether it goes on."),
      ]),
    .string("action", "What was done."), .object("related", "A second object concerned.", objectReference).owned,
    .string("reportingComponent", "Controller that reports it."),
    .string("reportingInstance", "Instance of that controller."),
  ]

  /// Fields of a ConfigMap.
  static let configMap: [Field] = [
    .map("data", "Texts by name."), .mapOf("binaryData", "Bytes by name, base64.", Schema(form: .bytes, text: "")),
    .boolean("immutable", "Whether data cannot be changed any more."),
  ]

  /// Fields of a Secret.
  static let secret: [Field] = [
    .map("data", "Secret bytes by name, base64."),
    .map("stringData", "Secret texts by name: merged into data when written, never returned."),
    .string("type", "What the secret is for. Opaque unless given. Cannot be changed."),
    .boolean("immutable", "Whether data cannot be changed any more."),
  ]

  /// Fields of a ServiceAccount.
  static let serviceAccount: [Field] = [
    .objects("secrets", "Secrets it may use.", key: "name", ownedElements: true, objectReference),
    .objects("imagePullSecrets", "Secrets to pull images with.", [.string("name", "Name of the Secret.")]),
    .boolean("automountServiceAccountToken", "Whether pods get its token."),
  ]

  /// Fields of a Service.
  static let service: [Field] = [
    .object(
      "spec", "Where the service is reached.",
      [
        .objects(
          "ports", "Ports it listens on.", key: .port("port"),
          [
            .string("name", "Name of the port; needed when there are several."),
            .string("protocol", "TCP, UDP or SCTP. TCP unless given."), .string("appProtocol", "Protocol on top."),
            .int32("port", "Port of the service."), .intOrString("targetPort", "Port of the pods."),
            .int32("nodePort", "Port on every node."),
          ]),
        Field.map("selector", "Labels of the pods behind it.").owned, .string("clusterIP", "Its address."),
        .strings("clusterIPs", "Its addresses."),
        .string("type", "ClusterIP, NodePort, LoadBalancer or ExternalName. ClusterIP unless given."),
        .strings("externalIPs", "Addresses outside of the cluster."),
        .string("externalName", "DNS name it stands for."), .string("sessionAffinity", "None or ClientIP."),
        .string("loadBalancerIP", "Address wanted from the load balancer."),
        .strings("loadBalancerSourceRanges", "Who may connect."),
        .string("internalTrafficPolicy", "Cluster or Local."), .string("externalTrafficPolicy", "Cluster or Local."),
        .strings("ipFamilies", "IPv4, IPv6."), .string("ipFamilyPolicy", "SingleStack or one of the dual forms."),
        .boolean("publishNotReadyAddresses", "Whether pods count before they are ready."),
        .int32("healthCheckNodePort", "Port where nodes tell their health."),
        .object(
          "sessionAffinityConfig", "How long clients keep their pod.",
          [.object("clientIP", "By their address.", [.int32("timeoutSeconds", "How long.")])]),
        .strings("topologyKeys", "Not used any more."),
        .string("ipFamily", "Not used any more."),
        .boolean("allocateLoadBalancerNodePorts", "Whether load balancers need ports on nodes."),
        .string("loadBalancerClass", "Who makes the load balancer."),
        .string("trafficDistribution", "Which pods are preferred."),
      ]),
    .object(
      "status", "What the load balancer gave.",
      [
        .object("loadBalancer", "Its addresses.", [.list("ingress", "Points of entry.")]),
        conditions("State of the service."),
      ]),
  ]

  /// Fields of a Node.
  static let node: [Field] = [
    .object(
      "spec", "How the node is used.",
      [
        .string("podCIDR", "Addresses of its pods."), .set("podCIDRs", "All addresses of its pods."),
        .opaque("configSource", "Not used any more."), .string("externalID", "Not used any more."),
        .any("podPreemptionPolicy", "What pods may do to others."), .string("providerID", "Its name at the provider."),
        .boolean("unschedulable", "Whether no new pods go there."),
        .objects(
          "taints", "What pods must tolerate.",
          [
            .string("key", "Key of the taint."), .string("value", "Value of the taint."),
            .string("effect", "NoSchedule, PreferNoSchedule or NoExecute."), .time("timeAdded", "Since when."),
          ]),
      ]),
    .object(
      "status", "What the node reports.",
      [
        .quantities("capacity", "What it has."), .quantities("allocatable", "What may be used."),
        .string("phase", "Not used."),
        conditions("State of the node."),
        .objects(
          "addresses", "Where it is reached.", key: "type",
          [.string("type", "Hostname, InternalIP or ExternalIP."), .string("address", "The address.")]),
        .opaque("nodeInfo", "Versions of its software."), .list("images", "Images it has."),
        .opaque("daemonEndpoints", "Ports of its daemons."), .strings("volumesInUse", "Volumes pods have mounted."),
        .list("volumesAttached", "Volumes attached to it."), .opaque("config", "Settings in effect."),
        .list("runtimeHandlers", "What can run pods."), .opaque("features", "What it can do."),
        .any("declaredFeatures", "What it says it can do."),
      ]),
  ]

  /// Fields of a StorageClass.
  static let storageClass: [Field] = [
    .string("provisioner", "Who makes its volumes. Cannot be changed."),
    .map("parameters", "Parameters for the provisioner. Cannot be changed."),
    .string("reclaimPolicy", "Delete or Retain. Delete unless given. Cannot be changed."),
    .strings("mountOptions", "Options for mounting."),
    .boolean("allowVolumeExpansion", "Whether claims may ask for more."),
    .string("volumeBindingMode", "Immediate or WaitForFirstConsumer. Immediate unless given. Cannot be changed."),
    .list("allowedTopologies", "Where volumes may be."),
  ]

  /// Fields of a Lease.
  static let lease: [Field] = [
    .object(
      "spec", "Who holds it and until when.",
      [
        .string("holderIdentity", "Who holds it."), .int32("leaseDurationSeconds", "How long without renewal."),
        .time("acquireTime", "When it was taken."), .time("renewTime", "When it was last renewed."),
        .int32("leaseTransitions", "How often it changed hands."), .string("strategy", "How it is handed over."),
        .string("preferredHolder", "Who should hold it."),
      ])
  ]
}
