import KubeModel

extension Schema {
  /// Fields of a ClusterPair.
  static let clusterPair: [Field] = [
    .object(
      "spec", "The peer and how to reach it.",
      [
        .mapOf(
          "options",
          "Storage pairing options, texts; numbers and booleans are stored as their texts. token: pairing token made at the peer,"
            + " its presence switches storage pairing on. ip: host name, address or URL of the peer. port: control port of"
            + " the peer, 9001 unless given. mode: Default, DisasterRecovery or OneTimeMigration. backuplocation: name of"
            + " a BackupLocation, kept and not used by this agent. Other keys are ignored.",
          Schema(form: .looseString, text: "")),
        .object(
          "platformOptions", "Options of the platform the peer runs on.",
          [
            .object(
              "rancher", "Options for Rancher.",
              [.map("projectMappings", "Project at the source to project at the destination.")])
          ]),
        .object(
          "config", "Kubeconfig in its internal form, with maps by name. Checked and used when given; not needed.",
          clusterPairConfig),
      ]),
    .object(
      "status", "What the agent found.",
      [
        .string("schedulerStatus", "State of the connection for resources.", values: pairStates),
        .string("storageStatus", "State of the connection for volumes.", values: pairStates),
        .string("remoteStorageId", "Identity of the peer's storage, told by the peer when it was paired."),
      ]),
  ]

  private static let pairStates = ["", "Pending", "Ready", "Error", "Degraded", "Deleting", "NotProvided"]

  private static let clusterPairConfig: [Field] = [
    .string("kind", "Config."), .string("apiVersion", "v1."),
    .opaque("preferences", "Ignored."),
    .string("current-context", "Name of the context that is used."),
    .mapOf("clusters", "Servers by name.", .object("", clusterFields)),
    .mapOf("users", "Credentials by name.", .object("", userFields)),
    .mapOf(
      "contexts", "Pairs of server and credentials by name.",
      .object(
        "",
        [
          .string("LocationOfOrigin", "Ignored."), .string("cluster", "Name in clusters."),
          .string("user", "Name in users."), .string("namespace", "Namespace used when none is given."),
        ])),
    .opaque("extensions", "Ignored."),
  ]

  private static let clusterFields: [Field] = [
    .string("LocationOfOrigin", "Ignored."), .string("server", "URL of the API server."),
    .string("tls-server-name", "Name the server's certificate is checked against, if not that of the URL."),
    .boolean("insecure-skip-tls-verify", "Whether the server's certificate goes unchecked."),
    .string("certificate-authority", "Path of a CA certificate."),
    .string("certificate-authority-data", "CA certificate, base64 of PEM."),
    .string("proxy-url", "URL of a proxy."), .boolean("disable-compression", "Whether answers come uncompressed."),
    .opaque("extensions", "Ignored."),
  ]

  private static let userFields: [Field] = [
    .string("LocationOfOrigin", "Ignored."), .string("client-certificate", "Path of a client certificate."),
    .string("client-certificate-data", "Client certificate, base64 of PEM."),
    .string("client-key", "Path of the client's key."), .string("client-key-data", "Client's key, base64 of PEM."),
    .string("token", "Bearer token."), .string("tokenFile", "Path of a file that holds the bearer token."),
    .string("username", "Name for basic authentication."), .string("password", "Password for basic authentication."),
    .string("act-as", "User to act as."),
    .object(
      "auth-provider", "Plug-in that provides credentials.",
      [.string("name", "Its name."), .map("config", "Its settings.")]),
    .object(
      "exec", "Command that provides credentials.",
      [
        .string("command", "The program."), .strings("args", "Its arguments."),
        .objects("env", "Its environment.", [.string("name", "Name."), .string("value", "Value.")]),
        .string("apiVersion", "Version it is spoken to in."), .string("installHint", "How to get it."),
        .boolean("provideClusterInfo", "Whether it is told of the cluster."),
        .string("interactiveMode", "Whether it may ask."),
      ]), .string("act-as-uid", "Its UID."), .strings("act-as-groups", "Its groups."),
    .mapOf("act-as-user-extra", "More about it.", Schema(form: .list(.string, .atomic), text: "")),
    .opaque("extensions", "Ignored."),
  ]
}
