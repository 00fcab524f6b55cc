import APIModel
import ArgumentParser

struct ActivateMigrations: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrations", abstract: "Starts the applications that migrations brought here.",
    aliases: ["migration"])

  @OptionGroup var places: ActivationPlaces

  func run() throws { try places.run(activate: true) }
}

struct DeactivateMigrations: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrations", abstract: "Stops the applications that migrations brought here.",
    aliases: ["migration"])

  @OptionGroup var places: ActivationPlaces

  func run() throws { try places.run(activate: false) }
}

/// The namespaces whose applications are meant.
struct ActivationPlaces: ParsableArguments {
  @Argument(help: "Namespaces; that of -n if none is given.") var namespaces: [String] = []
  @Flag(name: [.customShort("a"), .customShort("A"), .long], help: "Of all namespaces.") var allNamespaces = false
  @OptionGroup var options: GlobalOptions

  func run(activate: Bool) throws {
    let client = options.client
    let catalog = try KindCatalog(client)
    var wanted = namespaces.isEmpty ? [options.namespace] : namespaces
    if allNamespaces {
      wanted =
        try client.send("GET", ["api", "v1", "namespaces"])["items"]?.array?
        .map { Field.text($0, "metadata.name") } ?? []
    } else {
      for namespace in wanted { _ = try client.send("GET", ["api", "v1", "namespaces", namespace]) }
    }
    // Before anything is changed: half an activation is worse than none.
    if activate { try StandbyClaims.check(wanted, client) }
    var activation = Activation(client: client, catalog: catalog, activate: activate)
    for namespace in wanted { try activation.run(namespace) }
    if activation.failures > 0 {
      throw Failure(.failed, "", "\(activation.failures) objects could not be changed", remedy: "see the lines above")
    }
  }
}

/// Claims whose volumes are held for another site: their paths have no files, so nothing that uses them may start.
enum StandbyClaims {
  private static let annotation = "repl-agent/standby"

  /// Refuses namespaces that have such claims, naming them.
  static func check(_ namespaces: [String], _ client: AgentClient) throws(Failure) {
    var found: [String] = []
    for volume in try client.send("GET", ["api", "v1", "persistentvolumes"])["items"]?.array ?? []
    where volume[path: ["metadata", "annotations", annotation]]?.text == "true" {
      let namespace = Field.text(volume, "spec.claimRef.namespace")
      guard namespaces.contains(namespace) else { continue }
      found.append("\(namespace)/\(Field.text(volume, "spec.claimRef.name"))")
    }
    guard !found.isEmpty else { return }
    throw Failure(
      .refused, "", "the volumes of these claims are not live here: \(found.sorted().joined(separator: ", "))",
      remedy: "run a Migration with startApplications: true at the source, which makes them live; if the source is "
        + "lost, clone their newest recovery points and start the applications on the clones")
  }
}

/// Scales what migrations brought into a namespace, then tells the schedules.
struct Activation {
  var client: AgentClient
  var catalog: KindCatalog
  var activate: Bool
  private(set) var failures = 0

  init(client: AgentClient, catalog: KindCatalog, activate: Bool) {
    self.client = client
    self.catalog = catalog
    self.activate = activate
  }

  private static let prefix = "stork.libopenstorage.org/"
  /// The documents and the programs spell it differently.
  private static let replicaKeys = [
    "stork.libopenstorage.org/migrationReplicas", "stork.openstorage.org/migrationReplicas",
  ]

  mutating func run(_ namespace: String) throws(Failure) {
    var schedulePlaces: Set<String> = []
    for plural in ["statefulsets", "deployments"] {
      let kind = try catalog.kind(plural)
      for object in try client.send("GET", kind.path(namespace: namespace))["items"]?.array ?? [] {
        guard let text = Self.replicaKeys.lazy.compactMap({ Self.annotation(object, $0) }).first else { continue }
        schedulePlaces.insert(Self.annotation(object, Self.prefix + "migrationNamespace") ?? namespace)
        scale(object, kind, namespace, text)
      }
    }
    let jobs = try catalog.kind("cronjobs")
    for object in try client.send("GET", jobs.path(namespace: namespace))["items"]?.array ?? []
    where Self.annotation(object, Self.prefix + "migrated") == "true" {
      schedulePlaces.insert(Self.annotation(object, Self.prefix + "migrationNamespace") ?? namespace)
      let name = Field.text(object, "metadata.name")
      change(
        jobs, namespace, name, ["spec": ["suspend": .bool(!activate)]],
        done: "Updated suspend option for cronjob \(namespace)/\(name) to \(!activate)")
    }
    if schedulePlaces.isEmpty { schedulePlaces = [namespace] }
    for place in schedulePlaces.sorted() { try tellSchedules(in: place, about: namespace) }
  }

  private mutating func scale(_ object: JSONValue, _ kind: KindEntry, _ namespace: String, _ text: String) {
    let name = Field.text(object, "metadata.name")
    guard let replicas = Int32(text), replicas >= 0 else {
      failures += 1
      return Console.error("error: \(kind.singular) \(namespace)/\(name): '\(text)' is not a number of replicas")
    }
    let target = activate ? replicas : 0
    change(
      kind, namespace, name, ["spec": ["replicas": .integer(Int64(target))]],
      done: "Updated replicas for \(kind.singular) \(namespace)/\(name) to \(target)")
  }

  /// Schedules that migrate the namespace learn that its applications run here; when they are stopped, only the copies
  /// that a peer made do.
  private mutating func tellSchedules(in place: String, about namespace: String) throws(Failure) {
    let kind = try catalog.kind("migrationschedules")
    for schedule in try client.send("GET", kind.path(namespace: place))["items"]?.array ?? [] {
      let names = try MigratedNamespaces.of(schedule, client)
      let isCopy = Self.annotation(schedule, Self.prefix + "static-copy") == "true"
      guard names.contains(namespace), activate || isCopy else { continue }
      let name = Field.text(schedule, "metadata.name")
      change(
        kind, place, name, ["status": ["applicationActivated": .bool(activate)]],
        done: "Setting the ApplicationActivated status in the MigrationSchedule \(place)/\(name) to \(activate)")
    }
  }

  private mutating func change(
    _ kind: KindEntry, _ namespace: String, _ name: String, _ patch: JSONValue, done: String
  ) {
    do throws(Failure) {
      _ = try client.send(
        "PATCH", kind.path(namespace: namespace, name: name), body: patch, contentType: "application/merge-patch+json")
      Console.standard.line(done)
    } catch {
      failures += 1
      error.print()
    }
  }

  private static func annotation(_ object: JSONValue, _ key: String) -> String? {
    object[path: ["metadata", "annotations", key]]?.text
  }
}

/// The namespaces that a schedule's migrations take along.
enum MigratedNamespaces {
  static func of(_ schedule: JSONValue, _ client: AgentClient) throws(Failure) -> Set<String> {
    var names = Set((schedule[at: "spec.template.spec.namespaces"]?.array ?? []).compactMap(\.string))
    let labels = schedule[at: "spec.template.spec.namespaceSelectors"]?.object ?? [:]
    guard !labels.isEmpty else { return names }
    for namespace in try client.send("GET", ["api", "v1", "namespaces"])["items"]?.array ?? []
    where labels.contains(where: { namespace[path: ["metadata", "labels", $0.key]] == $0.value }) {
      names.insert(Field.text(namespace, "metadata.name"))
    }
    return names
  }
}
