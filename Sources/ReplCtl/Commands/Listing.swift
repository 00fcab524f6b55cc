import APIModel
import Glibc

/// Fetches objects and prints them as the Stork tools do.
struct Listing {
  var options: GlobalOptions
  /// The word the person used.
  var kind: String
  var names: [String]
  var allNamespaces: Bool
  var selector: String?
  var fieldSelector: String?
  var clusterPair: String?
  var watch = false

  static let tableAccept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

  func run() throws {
    let client = options.client
    let view = ActionView(rawValue: kind.lowercased())
    let entry = try KindCatalog(client).kind(view == nil ? kind : "actions")
    let list = try list(entry, client, view)
    let layout = try show(list.items, entry, client)
    guard watch else { return }
    try WatchedListing(listing: self, entry: entry, client: client, view: view).follow(list, layout: layout)
  }

  struct Found {
    var items: [JSONValue]
    var version: String
  }

  /// What there is and is wanted. A watch needs the version of a list: that of an object may be too old to go on from.
  func list(_ entry: KindEntry, _ client: AgentClient, _ view: ActionView?) throws(Failure) -> Found {
    var found = Found(items: [], version: "0")
    if watch || names.isEmpty || allNamespaces {
      let list = try client.send("GET", path(entry), query: query)
      found = Found(items: list["items"]?.array ?? [], version: Field.text(list, "metadata.resourceVersion"))
      for name in names where !found.items.contains(where: { Field.text($0, "metadata.name") == name }) {
        throw Failure(StatusError(404, "NotFound", "\(entry.resource) \"\(name)\" not found"))
      }
    } else {
      for name in names {
        found.items.append(try client.send("GET", entry.path(namespace: options.namespace, name: name)))
      }
    }
    found.items = found.items.filter { isWanted($0, view) }
    return found
  }

  func path(_ entry: KindEntry) -> [String] { entry.path(namespace: allNamespaces ? nil : options.namespace) }

  var query: [(String, String)] {
    let name = names.count == 1 ? "metadata.name=\(names[0])" : nil
    let fields = [fieldSelector, name].compactMap(\.self)
    return [("labelSelector", selector), ("fieldSelector", fields.isEmpty ? nil : fields.joined(separator: ","))]
      .compactMap { key, value in value.map { (key, $0) } }
  }

  func isWanted(_ object: JSONValue, _ view: ActionView?) -> Bool {
    if !names.isEmpty, !names.contains(Field.text(object, "metadata.name")) { return false }
    if let view, !view.shows(object, byName: !names.isEmpty) { return false }
    guard let clusterPair else { return true }
    return ClusterPairOf.name(object) == clusterPair
  }

  /// The columns of a Stork kind; nil for others, whose tables come from the agent.
  func columns(_ entry: KindEntry) -> [StorkTable.Column]? {
    StorkTable.columns(entry.kind, view: kind.lowercased())
      .map { options.output == .wide ? $0 + StorkTable.wideColumns(entry.kind) : $0 }
  }

  var isStructured: Bool { options.output == .json || options.output == .yaml }

  /// Prints what was found; the widths of the columns, when there were any.
  private func show(_ items: [JSONValue], _ entry: KindEntry, _ client: AgentClient) throws -> [Int] {
    if isStructured {
      try options.print(Self.list(items)) { "" }
      return []
    }
    guard !items.isEmpty else {
      Console.standard.line("No resources found.")
      return []
    }
    let table: TextTable
    if let columns = columns(entry) {
      table = StorkTable.table(items, columns: columns, withNamespace: allNamespaces)
    } else {
      let answer = try client.send("GET", path(entry), query: query, accept: Self.tableAccept)
      table = serverTable(answer, Set(items.map { Field.text($0, "metadata.uid") }), entry)
    }
    Console.standard.line(table.text)
    return table.layout
  }

  /// A List, whatever the number of its items.
  static func list(_ items: [JSONValue]) -> JSONValue {
    let shown = items.map { item in
      var item = item
      item[at: "metadata.managedFields"] = nil
      return SecretMask.hide(item)
    }
    return ["apiVersion": "v1", "kind": "List", "metadata": [:], "items": .array(shown)]
  }

  /// What the agent prints for the kind; only the rows of `wanted` uids, all if nil.
  func serverTable(_ answer: JSONValue, _ wanted: Set<String>?, _ entry: KindEntry) -> TextTable {
    let columns = answer["columnDefinitions"]?.array ?? []
    let shown = columns.indices.filter { options.output == .wide || columns[$0]["priority"]?.integer == 0 }
    let withNamespace = allNamespaces && entry.namespaced
    var table = TextTable(
      (withNamespace ? ["NAMESPACE"] : []) + shown.map { Field.text(columns[$0], "name").uppercased() })
    for row in answer["rows"]?.array ?? [] {
      if let wanted, !wanted.contains(Field.text(row, "object.metadata.uid")) { continue }
      let cells = row["cells"]?.array ?? []
      table.rows.append(
        (withNamespace ? [Field.text(row, "object.metadata.namespace")] : [])
          + shown.map { $0 < cells.count ? cells[$0].text ?? "" : "" })
    }
    return table
  }
}

/// Goes on after a listing and prints what changes, under the same columns.
struct WatchedListing {
  var listing: Listing
  var entry: KindEntry
  var client: AgentClient
  var view: ActionView?
  /// Seconds after which a watch is begun anew.
  var timeout = 600
  /// Waits between one watch and the next, so that an agent that ends them at once is not asked at full speed; gets the
  /// version to go on from.
  var pause: (String) throws -> Void = { _ in sleep(1) }

  /// Until nobody reads any more.
  func follow(_ found: Listing.Found, layout: [Int]) throws {
    var printer = Printer(
      listing: listing, entry: entry, columns: listing.columns(entry),
      widths: layout)
    var version = found.version
    while Console.standard.finish() == 0 {
      // Changes were missed: a watch from 0 shows everything anew before it goes on.
      if try !follow(from: &version, &printer) { version = "0" }
      try pause(version)
    }
  }

  /// One watch; false when the agent no longer knows what came after `version`.
  private func follow(from version: inout String, _ printer: inout Printer) throws -> Bool {
    // Bookmarks keep the version young while nothing wanted changes.
    let query =
      listing.query + [
        ("resourceVersion", version), ("timeoutSeconds", String(timeout)), ("allowWatchBookmarks", "true"),
      ]
    var isComplete = true
    try client.watch(listing.path(entry), query: query, accept: printer.accept) { type, object in
      if type == "ERROR" {
        let status = StatusError(object) ?? StatusError(500, "", "the watch failed")
        guard status.code == 410 else { throw Failure(status) }
        isComplete = false
        return false
      }
      let described = type == "BOOKMARK" ? object : object["rows"]?.array?.first?["object"] ?? object
      version = Field.text(described, "metadata.resourceVersion")
      if type != "BOOKMARK", listing.isWanted(described, view) { try printer.show(object) }
      return Console.standard.finish() == 0
    }
    return isComplete
  }

  private struct Printer {
    var listing: Listing
    var entry: KindEntry
    /// nil: lines come from the agent.
    var columns: [StorkTable.Column]?
    /// Widths of the lines so far; empty before the header was printed.
    var widths: [Int]
    private var definitions: JSONValue?

    var accept: String {
      columns == nil && !listing.isStructured ? Listing.tableAccept : "application/json"
    }

    mutating func show(_ object: JSONValue) throws {
      if listing.isStructured { return try listing.options.print(SecretMask.hide(object)) { "" } }
      var table: TextTable
      if let columns {
        table = StorkTable.table([object], columns: columns, withNamespace: listing.allNamespaces)
      } else {
        // The first event brings the column definitions, later ones may come without.
        if object["columnDefinitions"]?.array?.isEmpty == false { definitions = object["columnDefinitions"] }
        var answer = object
        answer["columnDefinitions"] = definitions
        table = listing.serverTable(answer, nil, entry)
      }
      let isFirst = widths.isEmpty
      table.widths = widths
      widths = table.layout
      Console.standard.line(isFirst ? table.text : table.rowText)
    }

    init(listing: Listing, entry: KindEntry, columns: [StorkTable.Column]?, widths: [Int]) {
      self.listing = listing
      self.entry = entry
      self.columns = columns
      self.widths = widths
    }
  }
}

/// The ClusterPair that an object belongs to.
enum ClusterPairOf {
  static func name(_ object: JSONValue) -> String? {
    (object[at: "spec.clusterPair"] ?? object[at: "spec.template.spec.clusterPair"])?.string
  }
}
