import APIModel
import ArgumentParser

struct GetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Shows objects: clusterpairs, migrations, pv, pvc, events, namespaces, …")

  @Argument(help: "Kind.", completion: KindWords.completion) var kind: String
  @Argument(help: "Names; all if none is given.") var names: [String] = []
  @Flag(name: [.customShort("A"), .long], help: "Of all namespaces.") var allNamespaces = false
  @Option(name: [.customShort("l"), .long], help: "Label selector.") var selector: String?
  @Option(name: [.customLong("field-selector")], help: "Field selector.") var fieldSelector: String?
  @Option(
    name: [.customShort("c"), .customLong("clusterpair"), .customLong("cluster-pair")],
    help: "Only those of this ClusterPair.")
  var clusterPair: String?
  @Flag(name: [.customShort("w"), .long], help: "Go on and show changes.") var watch = false
  @OptionGroup var options: GlobalOptions

  func run() throws {
    var listing = Listing(options: options, kind: kind, names: names, allNamespaces: allNamespaces)
    listing.selector = selector
    listing.fieldSelector = fieldSelector
    listing.clusterPair = clusterPair
    listing.watch = watch
    try listing.run()
  }
}

/// Kinds that a shell offers; the agent knows more.
enum KindWords {
  static let completion = CompletionKind.list([
    "clusterpair", "migrations", "migrationschedules", "schedulepolicy", "namespacedschedulepolicy",
    "clusterdomainsstatus", "clusterdomainupdate", "failover", "failback", "actions", "rules", "events", "namespaces",
    "pv", "pvc", "deployments", "statefulsets", "cronjobs", "jobs", "services", "secrets", "configmaps",
  ])
}
