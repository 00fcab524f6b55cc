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
      .any("securityContext", "Users and rights."), .string("hostname", "Its host name."),
      .string("schedulerName", "Who places it."), .any("affinity", "Where it would like to be."),
      .any("tolerations", "Taints it tolerates."), .string("priorityClassName", "How important it is."),
      .objects(
        "hostAliases", "Names for its hosts file.", key: "ip",
        [.string("ip", "The address."), .strings("hostnames", "Its names.")]),
      .objects(
        "topologySpreadConstraints", "How pods are spread.",
        key: ListKeys(patch: "topologyKey", apply: ["topologyKey", "whenUnsatisfiable"]),
        [
          .string("topologyKey", "Label of nodes to spread over."), .integer("maxSkew", "How uneven it may be."),
          .string("whenUnsatisfiable", "DoNotSchedule or ScheduleAnyway."), .any("labelSelector", "Pods that count."),
          .integer("minDomains", "Domains there must be."), .strings("matchLabelKeys", "Labels of pods to tell apart."),
          .string("nodeAffinityPolicy", "Honor or Ignore."), .string("nodeTaintsPolicy", "Honor or Ignore."),
        ]),
    ] + morePodSpec

  private static let morePodSpec: [Field] = [
    .any("ephemeralContainers", "Containers added for a look inside."), .any("dnsConfig", "How names are resolved."),
    .boolean("automountServiceAccountToken", "Whether the pod gets the token of its ServiceAccount."),
    .boolean("hostIPC", "Whether it shares the node's IPC."), .boolean("hostUsers", "Whether users are the node's."),
    .boolean("shareProcessNamespace", "Whether containers see each other's processes."),
    .string("subdomain", "Subdomain of its host name."), .integer("priority", "How important it is."),
    .any("readinessGates", "Further conditions of being ready."), .string("runtimeClassName", "What runs it."),
    .boolean("enableServiceLinks", "Whether services are in the environment."),
    .string("preemptionPolicy", "PreemptLowerPriority or Never."), .any("overhead", "What running it costs by itself."),
    .boolean("setHostnameAsFQDN", "Whether its host name is the full one."), .any("os", "Operating system it is for."),
    .string("hostnameOverride", "Host name it sees."),
    .any("schedulingGates", "What must be lifted before it is placed."),
    .any("resourceClaims", "Devices it wants."), .any("resources", "What all its containers need and may use."),
    .any("workloadRef", "Workload it belongs to."), .any("schedulingGroup", "Pods it is placed with."),
    .any("evictionResponders", "Who takes part in evicting it."),
  ]

  private static let podVolume: [Field] =
    [
      .string("name", "Name of the volume."), .any("persistentVolumeClaim", "A claim of the same namespace."),
      .any("configMap", "A ConfigMap."), .any("secret", "A Secret."), .any("emptyDir", "An empty directory."),
      .any("hostPath", "A directory of the node."), .any("projected", "Several of these in one directory."),
      .any("downwardAPI", "What is known of the pod."), .any("nfs", "An NFS export."),
      .any("csi", "A volume of a CSI driver."), .any("ephemeral", "A claim made for the pod."),
      .any("image", "The files of an image."), .any("gitRepo", "A working copy."),
    ] + volumeSources

  /// Volumes of providers, which pods and PersistentVolumes may name.
  static let volumeSources: [Field] = [
    "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "rbd", "iscsi", "cinder", "cephfs", "fc", "flocker",
    "flexVolume", "azureFile", "vsphereVolume", "quobyte", "azureDisk", "photonPersistentDisk", "portworxVolume",
    "scaleIO", "storageos",
  ].map { .any($0, "A volume of this kind; kept, not used here.") }

  private static let container: [Field] = [
    .string("name", "Name of the container."), .string("image", "What it runs."),
    .strings("command", "Program, instead of the image's own."), .strings("args", "Arguments of the program."),
    .string("workingDir", "Directory it starts in."),
    .objects(
      "ports", "Ports it listens on.", key: .port("containerPort"),
      [
        .string("name", "Name of the port."), .integer("containerPort", "Port in the container."),
        .integer("hostPort", "Port on the node."), .string("protocol", "TCP, UDP or SCTP."),
        .string("hostIP", "Address on the node."),
      ]),
    .objects(
      "env", "Environment variables.", key: "name",
      [.string("name", "Name."), .string("value", "Value."), .any("valueFrom", "Where the value comes from.")]),
    .any("envFrom", "Variables from ConfigMaps and Secrets."), .any("resources", "What it needs and may use."),
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
    .any("livenessProbe", "Whether it still works."), .any("readinessProbe", "Whether it is ready."),
    .any("startupProbe", "Whether it has started."), .any("lifecycle", "Hooks."),
    .string("imagePullPolicy", "Always, IfNotPresent or Never."), .any("securityContext", "Users and rights."),
    .string("terminationMessagePath", "File with its last words."),
    .string("terminationMessagePolicy", "File or FallbackToLogsOnError."),
    .boolean("stdin", "Whether it has an input."), .boolean("stdinOnce", "Whether the input ends with its first user."),
    .boolean("tty", "Whether it has a terminal."), .any("resizePolicy", "What resizing does."),
    .string("restartPolicy", "When it alone is started again."), .any("restartPolicyRules", "The same by exit code."),
  ]
}
