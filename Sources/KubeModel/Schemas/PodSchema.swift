extension Schema {
  /// A pod template, with what matters for merging; the rest is kept as it is.
  static func podTemplate(_ text: String) -> Field {
    .object(
      "template", text,
      [Field(name: "metadata", schema: .metadata), .object("spec", "The pod.", podSpec)])
  }

  private static let localReference: [Field] = [.string("name", "Name of the object.")]

  static let podSpec: [Field] =
    [
      .objects("containers", "What runs.", key: "name", container),
      .objects("initContainers", "What runs before, one after the other.", key: "name", container),
      .objects("volumes", "Volumes the containers may mount.", key: "name", podVolume),
      .objects("imagePullSecrets", "Secrets to pull images with.", key: "name", ownedElements: true, localReference),
      .string("restartPolicy", "Always, OnFailure or Never."),
      .integer("terminationGracePeriodSeconds", "How long it may take to end."),
      .integer("activeDeadlineSeconds", "How long it may run."), .string("dnsPolicy", "How names are resolved."),
      Field.map("nodeSelector", "Labels the node must have.").owned,
      .string("serviceAccountName", "Name of its ServiceAccount."),
      .string("serviceAccount", "Old name of serviceAccountName."), .string("nodeName", "Node it runs on."),
      .boolean("hostNetwork", "Whether it uses the node's network."),
      .boolean("hostPID", "Whether it sees all processes."),
      .opaque("securityContext", "Users and rights."), .string("hostname", "Its host name."),
      .string("schedulerName", "Who places it."), .opaque("affinity", "Where it would like to be."),
      tolerations, .string("priorityClassName", "How important it is."),
      .objects(
        "hostAliases", "Names for its hosts file.", key: "ip",
        [.string("ip", "The address."), .strings("hostnames", "Its names.")]),
      .objects(
        "topologySpreadConstraints", "How pods are spread.",
        key: ListKeys(patch: "topologyKey", apply: ["topologyKey", "whenUnsatisfiable"]),
        [
          .string("topologyKey", "Label of nodes to spread over."), .int32("maxSkew", "How uneven it may be."),
          .string("whenUnsatisfiable", "DoNotSchedule or ScheduleAnyway."),
          labelSelector("labelSelector", "Pods that count."),
          .int32("minDomains", "Domains there must be."), .strings("matchLabelKeys", "Labels of pods to tell apart."),
          .string("nodeAffinityPolicy", "Honor or Ignore."), .string("nodeTaintsPolicy", "Honor or Ignore."),
        ]),
    ] + morePodSpec

  private static let morePodSpec: [Field] = [
    .list("ephemeralContainers", "Containers added for a look inside."),
    .object(
      "dnsConfig", "How names are resolved.",
      [
        .strings("nameservers", "Servers asked."), .strings("searches", "Domains tried."),
        .list("options", "Options of the resolver."),
      ]),
    .boolean("automountServiceAccountToken", "Whether the pod gets the token of its ServiceAccount."),
    .boolean("hostIPC", "Whether it shares the node's IPC."), .boolean("hostUsers", "Whether users are the node's."),
    .boolean("shareProcessNamespace", "Whether containers see each other's processes."),
    .string("subdomain", "Subdomain of its host name."), .int32("priority", "How important it is."),
    .list("readinessGates", "Further conditions of being ready."), .string("runtimeClassName", "What runs it."),
    .boolean("enableServiceLinks", "Whether services are in the environment."),
    .string("preemptionPolicy", "PreemptLowerPriority or Never."),
    .quantities("overhead", "What running it costs by itself."),
    .boolean("setHostnameAsFQDN", "Whether its host name is the full one."),
    .object("os", "Operating system it is for.", [.string("name", "Its name.")]),
    .string("hostnameOverride", "Host name it sees."),
    .list("schedulingGates", "What must be lifted before it is placed."),
    .list("resourceClaims", "Devices it wants."), resources("What all its containers need and may use."),
    .any("workloadRef", "Workload it belongs to."), .any("schedulingGroup", "Pods it is placed with."),
    .any("evictionResponders", "Who takes part in evicting it."),
  ]

  private static let podVolume: [Field] =
    [
      .string("name", "Name of the volume."), .opaque("persistentVolumeClaim", "A claim of the same namespace."),
      .opaque("configMap", "A ConfigMap."), .opaque("secret", "A Secret."), .opaque("emptyDir", "An empty directory."),
      .opaque("hostPath", "A directory of the node."), .opaque("projected", "Several of these in one directory."),
      .opaque("downwardAPI", "What is known of the pod."), .opaque("nfs", "An NFS export."),
      .opaque("csi", "A volume of a CSI driver."), .opaque("ephemeral", "A claim made for the pod."),
      .opaque("image", "The files of an image."), .opaque("gitRepo", "A working copy."),
    ] + volumeSources

  /// Volumes of providers, which pods and PersistentVolumes may name.
  static let volumeSources: [Field] = [
    "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "rbd", "iscsi", "cinder", "cephfs", "fc", "flocker",
    "flexVolume", "azureFile", "vsphereVolume", "quobyte", "azureDisk", "photonPersistentDisk", "portworxVolume",
    "scaleIO", "storageos",
  ].map { .opaque($0, "A volume of this kind; kept, not used here.") }

  private static let tolerations: Field = .objects(
    "tolerations", "Taints it tolerates.",
    [
      .string("key", "Key of the taint."), .string("operator", "Exists or Equal."),
      .string("value", "Value of the taint."), .string("effect", "NoSchedule, PreferNoSchedule or NoExecute."),
      .integer("tolerationSeconds", "How long it is tolerated."),
    ])

  private static func resources(_ text: String) -> Field {
    .object(
      "resources", text,
      [
        .quantities("limits", "At most."), .quantities("requests", "At least."),
        .list("claims", "Devices of resourceClaims."),
      ])
  }

  private static func probe(_ name: String, _ text: String) -> Field {
    .object(
      name, text,
      [
        .object("exec", "A command that is run.", [.strings("command", "The program and its arguments.")]),
        .object(
          "httpGet", "An address that is fetched.",
          [
            .string("path", "Path of the address."), .intOrString("port", "Port, or its name."),
            .string("host", "Host, instead of the pod."), .string("scheme", "HTTP or HTTPS."),
            .objects(
              "httpHeaders", "Headers sent along.", [.string("name", "Name."), .string("value", "Value.")]),
          ]),
        .object(
          "tcpSocket", "A port that is connected to.",
          [.intOrString("port", "Port, or its name."), .string("host", "Host, instead of the pod.")]),
        .object("grpc", "A gRPC health service.", [.int32("port", "Its port."), .string("service", "Its name.")]),
        .int32("initialDelaySeconds", "Before the first time."), .int32("timeoutSeconds", "How long it may take."),
        .int32("periodSeconds", "How often."), .int32("successThreshold", "Successes in a row that count."),
        .int32("failureThreshold", "Failures in a row that count."),
        .integer("terminationGracePeriodSeconds", "How long the pod may take to end."),
      ])
  }

  private static let container: [Field] = [
    .string("name", "Name of the container."), .string("image", "What it runs."),
    .strings("command", "Program, instead of the image's own."), .strings("args", "Arguments of the program."),
    .string("workingDir", "Directory it starts in."),
    .objects(
      "ports", "Ports it listens on.", key: .port("containerPort"),
      [
        .string("name", "Name of the port."), .int32("containerPort", "Port in the container."),
        .int32("hostPort", "Port on the node."), .string("protocol", "TCP, UDP or SCTP."),
        .string("hostIP", "Address on the node."),
      ]),
    .objects(
      "env", "Environment variables.", key: "name",
      [.string("name", "Name."), .string("value", "Value."), .opaque("valueFrom", "Where the value comes from.")]),
    .list("envFrom", "Variables from ConfigMaps and Secrets."), resources("What it needs and may use."),
    .objects(
      "volumeMounts", "Where volumes are.", key: "mountPath",
      [
        .string("name", "Name of the volume."), .string("mountPath", "Where it is mounted."),
        .string("subPath", "Part of the volume."), .boolean("readOnly", "Whether it cannot be written."),
        .string("subPathExpr", "Part of the volume, with variables."),
        .string("mountPropagation", "Which mounts show."),
        .string("recursiveReadOnly", "Whether mounts below can be written."),
        .any("bindMountOptions", "Options of the mount."),
      ]),
    .objects(
      "volumeDevices", "Block volumes.", key: "devicePath",
      [.string("name", "Name of the volume."), .string("devicePath", "Path of the device.")]),
    probe("livenessProbe", "Whether it still works."), probe("readinessProbe", "Whether it is ready."),
    probe("startupProbe", "Whether it has started."), .opaque("lifecycle", "Hooks."),
    .string("imagePullPolicy", "Always, IfNotPresent or Never."), .opaque("securityContext", "Users and rights."),
    .string("terminationMessagePath", "File with its last words."),
    .string("terminationMessagePolicy", "File or FallbackToLogsOnError."),
    .boolean("stdin", "Whether it has an input."), .boolean("stdinOnce", "Whether the input ends with its first user."),
    .boolean("tty", "Whether it has a terminal."), .list("resizePolicy", "What resizing does."),
    .string("restartPolicy", "When it alone is started again."), .list("restartPolicyRules", "The same by exit code."),
  ]
}
