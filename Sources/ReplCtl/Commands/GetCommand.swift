import APIModel
import ArgumentParser

struct GetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Shows objects: clusterpairs, migrations, pv, pvc, events, namespaces, …")

  @Argument(help: "Kind.") var kind: String
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

/// Fetches objects and prints them as the Stork tools do.
struct Listing {
  var options: GlobalOptions
  var kind: String
  var names: [String]
  var allNamespaces: Bool
  var selector: String?
  var fieldSelector: String?
  var clusterPair: String?
  var watch = false

  private static let tableType = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

  func run() throws {
    let client = options.client
    let entry = try KindCatalog(client).kind(kind)
    let namespace: String? = allNamespaces ? nil : options.namespace
    let path = entry.path(namespace: namespace)
    var (items, version) = ([JSONValue](), "0")
    if names.isEmpty {
      let list = try client.send("GET", path, query: query)
      items = list["items"]?.array ?? []
      version = Field.text(list, "metadata.resourceVersion")
    } else {
      for name in names {
        items.append(try client.send("GET", entry.path(namespace: options.namespace, name: name)))
      }
      version = items.last.map { Field.text($0, "metadata.resourceVersion") } ?? "0"
    }
    items = items.filter(isWanted)
    try show(items, entry, client)
    if watch { try follow(client, entry, path, after: version) }
  }

  private var query: [(String, String)] {
    [("labelSelector", selector), ("fieldSelector", fieldSelector)].compactMap { key, value in value.map { (key, $0) } }
  }

  private func isWanted(_ object: JSONValue) -> Bool {
    guard let clusterPair else { return true }
    return object[at: "spec.clusterPair"]?.string == clusterPair
  }

  private func show(_ items: [JSONValue], _ entry: KindEntry, _ client: AgentClient) throws {
    guard !items.isEmpty else {
      if options.output == .json || options.output == .yaml {
        try options.print(Self.list([])) { "" }
      } else {
        Console.standard.line("No resources found.")
      }
      return
    }
    let shown = Self.list(items.map(Self.withoutManagedFields).map(Redaction.hide))
    if options.output == .json || options.output == .yaml { return try options.print(shown) { "" } }
    let table = try table(items, entry, client)
    Console.standard.line(table.text)
  }

  private static func list(_ items: [JSONValue]) -> JSONValue {
    ["apiVersion": "v1", "kind": "List", "metadata": [:], "items": .array(items)]
  }

  private static func withoutManagedFields(_ object: JSONValue) -> JSONValue {
    var object = object
    object[at: "metadata.managedFields"] = nil
    return object
  }

  private func table(_ items: [JSONValue], _ entry: KindEntry, _ client: AgentClient) throws -> TextTable {
    if let columns = StorkTable.columns(entry.kind) {
      var table = TextTable((allNamespaces ? ["NAMESPACE"] : []) + columns.map(\.name))
      table.rows = items.map { item in
        (allNamespaces ? [Field.text(item, "metadata.namespace")] : []) + columns.map { $0.cell(item) }
      }
      return table
    }
    return try serverTable(items, entry, client)
  }

  /// What the agent prints for the kind.
  private func serverTable(_ items: [JSONValue], _ entry: KindEntry, _ client: AgentClient) throws -> TextTable {
    let namespace: String? = allNamespaces ? nil : options.namespace
    let answer = try client.send(
      "GET", entry.path(namespace: namespace), query: query, accept: Self.tableType)
    let columns = answer["columnDefinitions"]?.array ?? []
    let shown = columns.indices.filter { options.output == .wide || columns[$0]["priority"]?.integer == 0 }
    let withNamespace = allNamespaces && entry.namespaced
    var table = TextTable(
      (withNamespace ? ["NAMESPACE"] : []) + shown.map { Field.text(columns[$0], "name").uppercased() })
    let wanted = Set(items.map { Field.text($0, "metadata.uid") })
    for row in answer["rows"]?.array ?? [] where wanted.contains(Field.text(row, "object.metadata.uid")) {
      let cells = row["cells"]?.array ?? []
      table.rows.append(
        (withNamespace ? [Field.text(row, "object.metadata.namespace")] : [])
          + shown.map { $0 < cells.count ? cells[$0].text ?? "" : "" })
    }
    return table
  }

  private func follow(_ client: AgentClient, _ entry: KindEntry, _ path: [String], after version: String) throws {
    var version = version
    while true {
      var query = self.query + [("resourceVersion", version), ("timeoutSeconds", "600")]
      if names.count == 1 { query.append(("fieldSelector", "metadata.name=\(names[0])")) }
      try client.watch(path, query: query) { type, object in
        if type == "ERROR" { throw Failure(StatusError(object) ?? StatusError(500, "", "the watch failed")) }
        version = Field.text(object, "metadata.resourceVersion")
        guard isWanted(object), names.isEmpty || names.contains(Field.text(object, "metadata.name")) else {
          return true
        }
        if options.output == .json || options.output == .yaml {
          try options.print(Redaction.hide(object)) { "" }
        } else if let columns = StorkTable.columns(entry.kind) {
          Console.standard.line(columns.map { $0.cell(object) }.joined(separator: "   "))
        } else {
          Console.standard.line("\(type)   \(Field.text(object, "metadata.name"))")
        }
        return Console.standard.finish() == 0
      }
      if Console.standard.finish() != 0 { return }
    }
  }
}
