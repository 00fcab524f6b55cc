import APIModel
import ArgumentParser
import Glibc

struct DescribeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "describe", abstract: "Shows objects with all fields and their events.")

  @Argument(help: "Kind, or KIND/NAME.", completion: KindWords.completion) var kind: String
  @Argument(help: "Names; all of the namespace if none is given.") var names: [String] = []
  @OptionGroup var options: GlobalOptions

  func run() throws {
    let client = options.client
    let (kind, names) = Naming.split(kind, names)
    let entry = try KindCatalog(client).kind(kind)
    var objects: [JSONValue] = []
    if names.isEmpty {
      objects = try client.send("GET", entry.path(namespace: options.namespace))["items"]?.array ?? []
    }
    for name in names {
      objects.append(try client.send("GET", entry.path(namespace: options.namespace, name: name)))
    }
    if options.output == .json || options.output == .yaml {
      let shown = Listing.list(objects)
      return try options.print(names.count == 1 ? shown["items"]?.array?.first ?? .null : shown) { "" }
    }
    guard !objects.isEmpty else {
      Console.standard.line("No resources found.")
      return
    }
    let texts = try objects.map { object in
      let namespace = entry.namespaced ? options.namespace : "default"
      let events = try client.send(
        "GET", ["api", "v1", "namespaces", namespace, "events"],
        query: [("fieldSelector", "involvedObject.uid=\(Field.text(object, "metadata.uid"))")])
      return Description.text(
        SecretMask.hide(object), events: events["items"]?.array ?? [], now: Int64(time(nil)))
    }
    Console.standard.line(texts.joined(separator: "\n\n\n"))
  }
}

/// `KIND NAME` and `KIND/NAME` mean the same.
enum Naming {
  static func split(_ kind: String, _ names: [String]) -> (kind: String, names: [String]) {
    guard let slash = kind.firstIndex(of: "/") else { return (kind, names) }
    return (String(kind[..<slash]), [String(kind[kind.index(after: slash)...])] + names)
  }
}

struct DeleteCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Deletes objects. Data is never deleted with an object.")

  @Argument(help: "Kind, or KIND/NAME.", completion: KindWords.completion) var kind: String
  @Argument(help: "Names.") var names: [String] = []
  @Option(
    name: [.customShort("c"), .customLong("clusterPair"), .customLong("cluster-pair")], help: "All of this ClusterPair."
  )
  var clusterPair: String?
  @Flag(inversion: .prefixedNo, help: "Wait until they are gone.") var wait = true
  @Option(help: "Longest wait for each, such as 30s or 5m.") var timeout = TimeSpan(seconds: 60)
  @OptionGroup var options: GlobalOptions

  func run() throws {
    let client = options.client
    let (kind, named) = Naming.split(kind, names)
    let catalog = try KindCatalog(client)
    let entry = try catalog.kind(kind)
    try Results.collect(options) { results in
      let names = try Selection(kind: entry, names: named, clusterPair: clusterPair).names(client, options, results)
      if entry.kind == "SchedulePolicy" { try PolicyUse(client: client, catalog: catalog).check(names) }
      let deletion = Deletion(options: options, kind: entry, timeout: wait ? timeout.seconds : 0)
      try deletion.delete(names, &results)
    }
  }
}

struct WaitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wait", abstract: "Waits until an object is in a state.")

  @Argument(help: "KIND/NAME, or KIND and NAME.") var target: [String]
  @Option(
    name: .customLong("for"),
    help: "delete, create, condition=TYPE[=VALUE], jsonpath={.a.b}=VALUE, or a.b=VALUE such as status.stage=Final.")
  var goal: String
  @Option(help: "Longest wait, such as 30s, 5m or 1h.") var timeout = TimeSpan(seconds: 30)
  @OptionGroup var options: GlobalOptions

  func validate() throws {
    guard WaitGoal(goal) != nil else { throw ValidationError("--for=\(goal) is not understood") }
  }

  func run() throws {
    let client = options.client
    let (kind, names) = Naming.split(target.first ?? "", Array(target.dropFirst()))
    guard let name = names.first, names.count == 1, let goal = WaitGoal(goal) else {
      throw Failure(.usage, "wait", "exactly one KIND/NAME is needed")
    }
    let entry = try KindCatalog(client).kind(kind)
    let path = entry.path(namespace: options.namespace, name: name)
    let met: Bool? = try Polling.until(timeout: timeout.seconds) { () throws(Failure) -> Bool? in
      guard let object = try client.find(path) else {
        if goal == .absent { return true }
        if goal == .present { return nil }
        throw Failure(.notFound, "\(entry.singular) \(options.namespace)/\(name)", "does not exist")
      }
      return goal.isMet(by: object) ? true : nil
    }
    guard met != nil else {
      throw Failure(
        .failed, "\(entry.singular) \(options.namespace)/\(name)", "timed out waiting for \(self.goal)")
    }
    try Results.collect(options) {
      $0.add(entry, name, action: "conditionMet", line: "\(entry.singular)/\(name) condition met")
    }
  }
}

/// What a wait is for.
enum WaitGoal: Equatable {
  case absent
  case present
  case condition(String, String)
  case field(String, String)

  init?(_ text: String) {
    if text == "delete" {
      self = .absent
    } else if text == "create" {
      self = .present
    } else {
      let parts = text.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
      if parts[0] == "condition", parts.count == 2 || parts.count == 3, !parts[1].isEmpty {
        self = .condition(parts[1], parts.count == 3 ? parts[2] : "True")
      } else if parts[0] == "jsonpath", parts.count == 3 {
        self = .field(String(parts[1].filter { !"{}'".contains($0) }.drop { $0 == "." }), Self.unquoted(parts[2]))
      } else if parts.count == 2, parts[0].contains("."), !parts[0].hasSuffix(".") {
        self = .field(String(parts[0].drop { $0 == "." }), Self.unquoted(parts[1]))
      } else {
        return nil
      }
    }
  }

  private static func unquoted(_ text: String) -> String { String(text.filter { !"'\"".contains($0) }) }

  func isMet(by object: JSONValue) -> Bool {
    switch self {
    case .absent: false
    case .present: true
    case .field(let path, let value): Field.text(object, path) == value
    case .condition(let type, let value):
      (object[at: "status.conditions"]?.array ?? []).contains {
        $0["type"]?.string?.lowercased() == type.lowercased()
          && $0["status"]?.string?.lowercased() == value.lowercased()
      }
    }
  }
}
