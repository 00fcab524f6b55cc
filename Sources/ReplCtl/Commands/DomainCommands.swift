import APIModel
import ArgumentParser

struct ActivateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "activate", abstract: "Activates a cluster domain, or the applications of migrations.",
    subcommands: [ActivateDomain.self, ActivateMigrations.self])
}

struct DeactivateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "deactivate", abstract: "Deactivates a cluster domain, or the applications of migrations.",
    subcommands: [DeactivateDomain.self, DeactivateMigrations.self])
}

struct ActivateDomain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clusterdomain", abstract: "Activates a cluster domain.", aliases: ["cd"])

  @Flag(help: "Every inactive domain.") var all = false
  @OptionGroup var change: DomainChange

  func run() throws { try change.run(active: true, all: all) }
}

struct DeactivateDomain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clusterdomain", abstract: "Deactivates a cluster domain.", aliases: ["cd"])

  @OptionGroup var change: DomainChange

  func run() throws { try change.run(active: false, all: false) }
}

/// A wish to change the state of domains: ClusterDomainUpdate objects.
struct DomainChange: ParsableArguments {
  @Argument(help: "Domain.") var domains: [String] = []
  @Option(help: "Name of the ClusterDomainUpdate; a random one if not given.") var name: String?
  @Flag(help: "Wait until it is done.") var wait = false
  @OptionGroup var options: GlobalOptions

  private static let interval = 2.0
  private static let timeout = 600.0

  func run(active: Bool, all: Bool) throws {
    let verb = active ? "activate" : "deactivate"
    let client = options.client
    let catalog = try KindCatalog(client)
    guard all ? domains.isEmpty : domains.count == 1 else {
      throw Failure.usage("exactly one cluster domain name needs to be provided to the \(verb) command")
    }
    let known = try knownDomains(catalog, client)
    let wanted = all ? known.filter { $0.value == "Inactive" }.keys.sorted() : domains
    if wanted.isEmpty { return Console.standard.line("No resources found.") }
    for domain in wanted where known[domain] == nil {
      throw Failure(.notFound, "", "provided cluster domain \(domain) not found")
    }
    let updates = try catalog.kind("clusterdomainupdates")
    let base = name ?? RandomName.uuid()
    var started: [[String]] = []
    for (index, domain) in wanted.enumerated() {
      let name = wanted.count > 1 ? "\(base)-\(index)" : base
      var object = KubeObject(apiVersion: updates.apiVersion, kind: updates.kind, namespace: nil, name: name)
      object.json["spec"] = ["clusterdomain": .string(domain), "active": .bool(active)]
      _ = try client.send("POST", updates.path(namespace: nil), body: object.json)
      Console.standard.line("Cluster Domain \(verb) operation started successfully for \(domain)")
      started.append(updates.path(namespace: nil, name: name))
      if wait { try waitFor(domain, started[index], active, client) }
    }
    if !wait { for path in started { try FirstAnswer.check(client, path) } }
  }

  /// Domains of all ClusterDomainsStatus objects with their states.
  private func knownDomains(_ catalog: KindCatalog, _ client: AgentClient) throws(Failure) -> [String: String] {
    var known: [String: String] = [:]
    let list = try client.send("GET", catalog.kind("clusterdomainsstatuses").path(namespace: nil))
    for status in list["items"]?.array ?? [] {
      for domain in status[at: "status.clusterDomainInfos"]?.array ?? [] {
        known[Field.text(domain, "name")] = Field.text(domain, "state")
      }
    }
    return known
  }

  private func waitFor(_ domain: String, _ path: [String], _ active: Bool, _ client: AgentClient) throws {
    Console.standard.write(active ? "Activating.." : "Deactivating..")
    var reason = ""
    let status = try Polling.until(timeout: Self.timeout, interval: Self.interval) { () throws(Failure) -> String? in
      let update = try client.send("GET", path)
      let status = Field.text(update, "status.status")
      reason = Field.text(update, "status.reason")
      Console.standard.write("..\(status)")
      return status == "Successful" || status == "Failed" ? status : nil
    }
    Console.standard.line("")
    switch status {
    case "Successful": Console.standard.line("Cluster Domain \(domain) updated successfully")
    case nil: throw Failure(.failed, "", "Timed out performing task")
    default: throw Failure(.refused, "", "Failed to update ClusterDomain, Reason : \(reason)")
    }
  }
}

/// Names that nobody chose.
enum RandomName {
  /// A random UUID (version 4) in its usual text form.
  static func uuid() -> String {
    var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
    bytes[6] = bytes[6] & 0x0F | 0x40
    bytes[8] = bytes[8] & 0x3F | 0x80
    let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
    return [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { digits[$0].joined() }.joined(separator: "-")
  }
}
