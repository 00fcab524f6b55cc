import APIModel
import ArgumentParser
import Glibc

struct PerformCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "perform", abstract: "Moves applications to this site, or back.",
    subcommands: [PerformFailover.self, PerformFailback.self])
}

struct PerformFailover: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "failover", abstract: "Starts the applications of a MigrationSchedule here.")

  @Flag(help: "Do not touch the source: it is lost.") var skipSourceOperations = false
  @OptionGroup var move: ApplicationMove

  func run() throws { try move.run(.failover, skipSource: skipSourceOperations) }
}

struct PerformFailback: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "failback", abstract: "Moves the applications of a MigrationSchedule back to where they came from.")

  @OptionGroup var move: ApplicationMove

  func run() throws { try move.run(.failback, skipSource: false) }
}

/// What a failover or failback is about: an Action object.
struct ApplicationMove: ParsableArguments {
  @Option(name: [.customShort("m"), .long], help: "Name of the MigrationSchedule.") var migrationReference = ""
  @Option(help: "Only these of its namespaces, separated by commas.") var includeNamespaces = ""
  @Option(help: "All but these of its namespaces, separated by commas.") var excludeNamespaces = ""
  @OptionGroup var options: GlobalOptions

  func run(_ type: ActionView, skipSource: Bool) throws {
    guard !migrationReference.isEmpty else {
      throw Failure.usage("reference MigrationSchedule name needs to be provided for \(type)")
    }
    let client = options.client
    let catalog = try KindCatalog(client)
    let schedule = try schedule(type, catalog, client)
    try checkPair(schedule, skipSource, catalog, client)
    let namespaces = try chosen(try MigratedNamespaces.of(schedule, client))
    let name = Self.name(type, migrationReference, at: time(nil))
    let reference = "\(options.namespace)/\(migrationReference)"
    let actions = try catalog.kind("actions")
    var object = KubeObject(
      apiVersion: actions.apiVersion, kind: actions.kind, namespace: options.namespace, name: name)
    object.json["spec"] = spec(type, namespaces, skipSource)
    do throws(Failure) {
      _ = try client.send("POST", actions.path(namespace: options.namespace), body: object.json)
    } catch {
      throw Failure(
        error.code, "", "failed to start \(type) for MigrationSchedule \(reference) : \(error.cause)",
        remedy: error.remedy)
    }
    Console.standard.line("Started \(type) for MigrationSchedule \(reference)")
    Console.standard.line(
      "To check \(type) status use the command : `replctl get \(type) \(name) -n \(options.namespace)`")
    try FirstAnswer.check(client, actions.path(namespace: options.namespace, name: name))
  }

  private func schedule(
    _ type: ActionView, _ catalog: KindCatalog, _ client: AgentClient
  ) throws(Failure) -> JSONValue {
    let path = try catalog.kind("migrationschedules").path(namespace: options.namespace, name: migrationReference)
    guard let schedule = try client.find(path) else {
      throw Failure(
        .notFound, "",
        "unable to find the reference MigrationSchedule \(migrationReference) in the \(options.namespace) namespace")
    }
    let copy = schedule[path: ["metadata", "annotations", "stork.libopenstorage.org/static-copy"]]?.text
    if type == .failover, copy != "true" {
      throw Failure(
        .refused, "",
        "ensure that `replctl perform failover` is run in the cluster you want to failover to")
    }
    return schedule
  }

  /// Without the source nothing is asked of it, so the pair may be gone.
  private func checkPair(
    _ schedule: JSONValue, _ skipSource: Bool, _ catalog: KindCatalog, _ client: AgentClient
  ) throws(Failure) {
    guard !skipSource else { return }
    let pair = ClusterPairOf.name(schedule) ?? ""
    let path = try catalog.kind("clusterpairs").path(namespace: options.namespace, name: pair)
    guard !pair.isEmpty, try client.find(path) != nil else {
      throw Failure(
        .notFound, "", "unable to find the ClusterPair \(pair) in the \(options.namespace) namespace",
        remedy: "if the source is lost: replctl perform failover --skip-source-operations")
    }
  }

  private func chosen(_ migrated: Set<String>) throws(Failure) -> [String] {
    let included = includeNamespaces.split(separator: ",").map(String.init)
    let excluded = excludeNamespaces.split(separator: ",").map(String.init)
    guard included.isEmpty || excluded.isEmpty else {
      throw Failure.usage("can provide only one of --include-namespaces or --exclude-namespaces values at once")
    }
    let named = included + excluded
    guard migrated.isSuperset(of: named) else {
      throw Failure.usage(
        "provided namespaces [\(named.joined(separator: " "))] are not a subset of the namespaces being migrated by "
          + "the given MigrationSchedule")
    }
    return included.isEmpty ? migrated.subtracting(excluded).sorted() : included
  }

  private func spec(_ type: ActionView, _ namespaces: [String], _ skipSource: Bool) -> JSONValue {
    let list = JSONValue.array(namespaces.map(JSONValue.string))
    let reference = JSONValue.string(migrationReference)
    let isFailover = type == .failover
    return [
      "actionType": .string(type.rawValue),
      "actionParameter": [
        "failoverParameter": [
          "failoverNamespaces": isFailover ? list : .null,
          "migrationScheduleReference": isFailover ? reference : "",
          "skipSourceOperations": isFailover ? .bool(skipSource) : .null,
        ],
        "failbackParameter": [
          "failbackNamespaces": isFailover ? .null : list,
          "migrationScheduleReference": isFailover ? "" : reference,
        ],
      ],
    ]
  }

  /// Longest name of an object.
  private static let maximumName = 253

  /// `failover-<schedule>-2024-03-05-102030`, in the local zone, the schedule cut so that the whole is a name.
  static func name(_ type: ActionView, _ schedule: String, at seconds: Int) -> String {
    let stamp = LocalTime.text(seconds, "%Y-%m-%d-%H%M%S")
    let room = maximumName - type.rawValue.count - stamp.count - 2
    return "\(type)-\(schedule.prefix(room))-\(stamp)"
  }
}
