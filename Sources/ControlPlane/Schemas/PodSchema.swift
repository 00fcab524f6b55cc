extension Schema {
  /// A pod template, with what matters for merging; the rest is kept as it is.
  static func podTemplate(_ text: String) -> Field {
    .object(
      "template", text,
      [Field(name: "metadata", schema: .metadata), .object("spec", "The pod.", podSpec)])
  }

  private static let localReference: [Field] = [.string("name", "Name of the object.")]

  static let podSpec: [Field] = [
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
      [.string("topologyKey", "Label of nodes to spread over.")]),
  ]

  private static let podVolume: [Field] = [
    .string("name", "Name of the volume."), .any("persistentVolumeClaim", "A claim of the same namespace."),
    .any("configMap", "A ConfigMap."), .any("secret", "A Secret."), .any("emptyDir", "An empty directory."),
    .any("hostPath", "A directory of the node."),
  ]

  private static let container: [Field] = [
    .string("name", "Name of the container."), .string("image", "What it runs."),
    .strings("command", "Program, instead of the image's own."), .strings("args", "Arguments of the program."),
    .string("workingDir", "Directory it starts in."),
    .objects(
      "ports", "Ports it listens on.", key: .port("containerPort"),
      [
        .string("name", "Name of the port."), .integer("containerPort", "Port in the container."),
        .integer("hostPort", "Port on the node."), .string("protocol", "TCP, UDP or SCTP."),
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
      ]),
    .objects(
      "volumeDevices", "Block volumes.", key: "devicePath",
      [.string("name", "Name of the volume."), .string("devicePath", "Path of the device.")]),
    .any("livenessProbe", "Whether it still works."), .any("readinessProbe", "Whether it is ready."),
    .any("startupProbe", "Whether it has started."), .any("lifecycle", "Hooks."),
    .string("imagePullPolicy", "Always, IfNotPresent or Never."), .any("securityContext", "Users and rights."),
    .string("terminationMessagePath", "File with its last words."),
    .string("terminationMessagePolicy", "File or FallbackToLogsOnError."),
  ]
}
