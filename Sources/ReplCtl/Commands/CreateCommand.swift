import APIModel
import ArgumentParser

struct CreateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Makes objects.",
    subcommands: [
      CreateMigration.self, CreateMigrationSchedule.self, CreateSchedulePolicy.self, CreateClusterPair.self,
    ])
}

struct CreateMigration: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migration", abstract: "Ships the volumes of namespaces to the peer of a ClusterPair.",
    aliases: ["migrations"])

  @Argument(help: "Name of the Migration.") var names: [String] = []
  @Option(
    name: [.customShort("c"), .customLong("cluster-pair"), .customLong("clusterPair")], help: "Name of the ClusterPair."
  )
  var clusterPair = ""
  @Option(help: "Namespaces, separated by commas; the namespace of -n if not given.") var namespaces: String?
  @Option(
    name: [.customShort("r"), .customLong("include-resources"), .customLong("includeResources")],
    help: "Whether objects are shipped too.")
  var includeResources = true
  @Option(name: [.customLong("include-volumes"), .customLong("includeVolumes")], help: "Whether data is shipped.")
  var includeVolumes = true
  @Option(
    name: [.customShort("a"), .customLong("start-applications"), .customLong("startApplications")],
    help: "Whether applications start at the peer.")
  var startApplications = false
  @Option(name: [.customLong("pre-exec-rule"), .customLong("preExecRule")], help: "Rule to run before.")
  var preExecRule = ""
  @Option(name: [.customLong("post-exec-rule"), .customLong("postExecRule")], help: "Rule to run afterwards.")
  var postExecRule = ""
  @Flag(help: "Take volumes along that have become smaller than at the peer.") var acceptShrink = false
  @Flag(help: "Check what it needs and make nothing.") var dryRun = false
  @Option(name: [.customShort("f"), .long], help: "Check the Migrations of a YAML file and make nothing.")
  var file: String?
  @Flag(help: "Wait until it ends and show its progress.") var wait = false
  @Option(help: "Longest wait, such as 30s, 5m or 2h; without it there is none.") var timeout: TimeSpan?
  @OptionGroup var options: GlobalOptions

  func run() throws {
    if let file {
      let documents = try YAML.documents(try InputFile.text(file), name: file)
      let migrations = documents.filter { $0["kind"]?.string == "Migration" }
      if migrations.isEmpty { throw Failure(.failed, file, "the file holds no Migration") }
      for migration in migrations { try MigrationCheck(options: options, migration: migration).run() }
      return
    }
    guard names.count == 1, let name = names.first else {
      throw Failure.usage("exactly one name needs to be provided for migration name")
    }
    guard !clusterPair.isEmpty else { throw Failure.usage("ClusterPair name needs to be provided for migration") }
    let client = options.client
    let migrations = try KindCatalog(client).kind("migrations")
    let list = namespaces.map { $0.split(separator: ",").map(String.init) } ?? [options.namespace]
    guard !list.isEmpty else {
      throw Failure.usage("need to provide atleast one namespace to migrate")
    }
    var object = KubeObject(
      apiVersion: migrations.apiVersion, kind: migrations.kind, namespace: options.namespace, name: name)
    if acceptShrink { object[metadata: "annotations"] = ["repl-agent/accept-shrink": "true"] }
    object.json["spec"] = [
      "clusterPair": .string(clusterPair), "namespaces": .array(list.map(JSONValue.string)),
      "includeResources": .bool(includeResources), "includeVolumes": .bool(includeVolumes),
      "startApplications": .bool(startApplications), "preExecRule": .string(preExecRule),
      "postExecRule": .string(postExecRule),
    ]
    if dryRun { return try MigrationCheck(options: options, migration: object.json).run() }
    if wait { try requirePair(client) }
    var result = try client.send("POST", migrations.path(namespace: options.namespace), body: object.json)
    let structured = options.output == .json || options.output == .yaml
    if !structured { Console.standard.line("Migration \(name) created successfully") }
    if wait {
      result = try MigrationWatch(
        client: client, kind: migrations, namespace: options.namespace,
        subject: "migration \(options.namespace)/\(name)", name: name,
        uid: Field.text(result, "metadata.uid"), quiet: structured,
        timeout: timeout ?? TimeSpan(seconds: .infinity)
      ).run()
    }
    if structured { try options.print(result) { "" } }
    let subject = "migration \(options.namespace)/\(name)"
    try MigrationWatch.check(result, wait: wait, subject: subject)
    if wait, includeVolumes { try requireVolumes(result, list, subject) }
    if wait, !structured { Console.standard.line("Migration \(name) completed successfully") }
  }
}

extension CreateMigration {
  /// A Migration waits for a pair that somebody may make yet; who waits for the Migration does not.
  private func requirePair(_ client: AgentClient) throws {
    let path = try KindCatalog(client).kind("clusterpairs").path(namespace: options.namespace, name: clusterPair)
    guard try client.find(path) == nil else { return }
    throw Failure(
      .notFound, "clusterpair \(options.namespace)/\(clusterPair)", "does not exist: the migration was not made",
      remedy: "replctl pair create \(clusterPair) -n \(options.namespace) …, or name one of `replctl pair list -A`")
  }

  /// For Stork a Migration that found nothing has succeeded. Who asked for data is told.
  private func requireVolumes(_ result: JSONValue, _ namespaces: [String], _ subject: String) throws {
    guard (result[at: "status.volumes"]?.array ?? []).isEmpty else { return }
    throw Failure(
      .failed, subject, "has replicated no volume: there is none in \(namespaces.joined(separator: ", "))",
      remedy: "see `replctl volume list -A`; with --include-volumes=false objects alone are wanted")
  }
}

struct CreateClusterPair: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clusterpair", abstract: "The same as `pair create`.")

  @OptionGroup var pair: PairArguments

  func run() throws { try pair.create() }
}
