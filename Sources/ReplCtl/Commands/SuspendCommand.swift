import APIModel
import ArgumentParser

struct SuspendCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "suspend", abstract: "Suspends schedules.", subcommands: [SuspendSchedules.self])
}

struct ResumeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Lets suspended schedules run again.", subcommands: [ResumeSchedules.self])
}

struct SuspendSchedules: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrationschedules", abstract: "Suspends MigrationSchedules: no new migrations.",
    aliases: ["migrationschedule"])

  @OptionGroup var chosen: ChosenSchedules

  func run() throws { try chosen.set(suspend: true, word: "suspended") }
}

struct ResumeSchedules: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrationschedules", abstract: "Lets suspended MigrationSchedules run again.",
    aliases: ["migrationschedule"])

  @OptionGroup var chosen: ChosenSchedules

  func run() throws { try chosen.set(suspend: false, word: "resumed") }
}

/// Schedules by name, or all of a ClusterPair.
struct ChosenSchedules: ParsableArguments {
  @Argument(help: "Names.") var names: [String] = []
  @Option(
    name: [.customShort("c"), .customLong("clusterPair"), .customLong("cluster-pair")], help: "All of this ClusterPair."
  )
  var clusterPair: String?
  @OptionGroup var options: GlobalOptions

  func set(suspend: Bool, word: String) throws {
    let client = options.client
    let schedules = try KindCatalog(client).kind("migrationschedules")
    let selection = Selection(kind: schedules, names: names, clusterPair: clusterPair)
    try Results.collect(options) { results in
      for name in try selection.names(client, options, results) {
        if !suspend { try refuseCopy(client, schedules, name) }
        _ = try client.send(
          "PATCH", schedules.path(namespace: options.namespace, name: name),
          body: ["spec": ["suspend": .bool(suspend)]], contentType: "application/merge-patch+json")
        results.add(schedules, name, action: word, line: "MigrationSchedule \(name) \(word) successfully")
      }
    }
  }

  /// A copy that a peer has sent only shows its schedule: nothing here runs it.
  private func refuseCopy(_ client: AgentClient, _ schedules: KindEntry, _ name: String) throws(Failure) {
    let schedule = try client.find(schedules.path(namespace: options.namespace, name: name))
    let mark = schedule?[path: ["metadata", "annotations", "stork.libopenstorage.org/static-copy"]]?.text
    guard mark == "true" else { return }
    throw Failure(
      .refused, "migrationschedule \(options.namespace)/\(name)", "is the copy of a schedule of another cluster",
      remedy: "resume it there; `replctl activate migrations` starts its applications here")
  }
}

/// Objects named by a person, or all of a ClusterPair.
struct Selection {
  var kind: KindEntry
  var names: [String]
  var clusterPair: String?

  func names(_ client: AgentClient, _ options: GlobalOptions, _ results: Results) throws(Failure) -> [String] {
    guard let clusterPair else {
      if names.isEmpty { throw Failure.usage(missing) }
      return names
    }
    let list = try client.send("GET", kind.path(namespace: options.namespace))["items"]?.array ?? []
    let found = list.filter { ClusterPairOf.name($0) == clusterPair }.map { Field.text($0, "metadata.name") }
    if found.isEmpty, names.isEmpty { results.addNothing() }
    return names + found
  }

  private var missing: String {
    switch kind.kind {
    case "Migration": "at least one argument needs to be provided for migration name"
    case "MigrationSchedule":
      "at least one argument needs to be provided for migration schedule name if cluster pair isn't provided"
    case "SchedulePolicy": "at least one argument needs to be provided for schedule policy name"
    default: "at least one argument needs to be provided for \(kind.singular) name"
    }
  }
}
