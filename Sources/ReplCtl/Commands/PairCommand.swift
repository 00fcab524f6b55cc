import APIModel
import ArgumentParser

struct PairCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pair", abstract: "Makes and ends trust with another cluster's agent.",
    subcommands: [PairToken.self, PairCreate.self, PairList.self, PairDelete.self, PairRevoke.self])
}

struct PairCreate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Makes a ClusterPair with the agent that printed the token.")

  @OptionGroup var pair: PairArguments

  func run() throws { try pair.create() }
}

/// What a pair is made from.
struct PairArguments: ParsableArguments {
  @Argument(help: "Name of the ClusterPair.") var name: String
  @Option(help: "Host name or address of the peer.") var ip: String
  @Option(help: "Control port of the peer.") var port: UInt16 = 9_001
  @OptionGroup var secret: TokenArguments
  @Option(
    help: """
      DisasterRecovery: full once, then incremental. Default: every seventh migration is full, as Stork's documents say. \
      OneTimeMigration: always full.
      """)
  var mode = "DisasterRecovery"
  @Flag(inversion: .prefixedNo, help: "Wait until the pair is ready.") var wait = true
  @Option(help: "Longest wait, such as 30s or 5m.") var timeout = TimeSpan(seconds: 60)
  @OptionGroup var options: GlobalOptions

  func validate() throws {
    guard port > 0 else { throw ValidationError("--port must be from 1 to 65535") }
    if !["Default", "DisasterRecovery", "OneTimeMigration"].contains(mode) {
      throw ValidationError("--mode knows Default, DisasterRecovery and OneTimeMigration")
    }
  }

  func create() throws {
    let token = try secret.read()
    let client = options.client
    let pairs = try KindCatalog(client).kind("clusterpairs")
    try Namespaces.ensure(client, options.namespace)
    let values: JSONValue = [
      "ip": .string(ip), "port": .string(String(port)), "token": .string(token), "mode": .string(mode),
    ]
    var object = KubeObject(
      apiVersion: pairs.apiVersion, kind: pairs.kind, namespace: options.namespace, name: name)
    object.json["spec"] = ["options": values]
    var result = try client.send("POST", pairs.path(namespace: options.namespace), body: object.json)
    if wait { result = try ready(client, pairs) }
    try options.print(SecretMask.hide(result)) {
      "ClusterPair \(name) created successfully"
        + (wait ? ", paired with \(Field.text(result, "status.remoteStorageId"))" : "") + ", mode \(mode)"
    }
  }

  /// Waits for the pair; a refusal by the peer ends the wait at once, since a token does not get better.
  private func ready(_ client: AgentClient, _ pairs: KindEntry) throws -> JSONValue {
    let path = pairs.path(namespace: options.namespace, name: name)
    var last = ""
    let found = try Polling.until(timeout: timeout.seconds) { () throws(Failure) -> JSONValue? in
      let pair = try client.send("GET", path)
      if Field.text(pair, "status.storageStatus") == "Ready" { return pair }
      last = Field.text(pair, "status.reason")
      try giveUpIfHopeless(pair, last)
      return nil
    }
    if let found { return found }
    throw Failure(
      .failed, "clusterpair \(options.namespace)/\(name)",
      last.isEmpty ? "not ready after \(timeout)" : "not ready after \(timeout): \(last)",
      remedy: "the agent goes on trying; see `replctl describe clusterpair \(name) -n \(options.namespace)`")
  }
}

extension PairArguments {
  /// A refusal that does not get better by itself ends the wait.
  private func giveUpIfHopeless(_ pair: JSONValue, _ reason: String) throws(Failure) {
    let kinds: [String: Failure.Code] = [
      "unauthenticated": .failed, "invalid": .failed, "protocolViolation": .failed, "refused": .refused,
    ]
    guard let code = kinds[Field.text(pair, "status.reasonKind")] else { return }
    throw Failure(
      code, "clusterpair \(options.namespace)/\(name)", reason,
      remedy: "replctl pair delete \(name) -n \(options.namespace), then create it again with what is right")
  }
}

struct PairList: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists ClusterPairs.")

  @Flag(name: [.customShort("A"), .long], help: "Of all namespaces.") var allNamespaces = false
  @OptionGroup var options: GlobalOptions

  func run() throws {
    try Listing(options: options, kind: "clusterpairs", names: [], allNamespaces: allNamespaces).run()
  }
}

struct PairDelete: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Ends a pair. Points and keys stay for the retention time unless --now.")

  @Argument(help: "Name of the ClusterPair.") var name: String
  @Flag(help: "End pins and keys at once.") var now = false
  @Option(help: "Longest wait until it is gone, such as 30s or 5m.") var timeout = TimeSpan(seconds: 60)
  @OptionGroup var options: GlobalOptions

  func run() throws {
    let client = options.client
    let pairs = try KindCatalog(client).kind("clusterpairs")
    if now {
      let patch: JSONValue = ["metadata": ["annotations": ["repl-agent/end-now": "true"]]]
      _ = try client.send(
        "PATCH", pairs.path(namespace: options.namespace, name: name), body: patch,
        contentType: "application/merge-patch+json")
    }
    let deletion = Deletion(options: options, kind: pairs, timeout: timeout.seconds)
    try Results.collect(options) { try deletion.delete([name], &$0) }
  }
}
