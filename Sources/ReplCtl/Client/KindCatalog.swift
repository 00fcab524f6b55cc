import APIModel

/// A kind as the agent's discovery names it.
struct KindEntry {
  var root: [String]
  var group: String
  var apiVersion: String
  var kind: String
  var plural: String
  var singular: String
  var shortNames: [String]
  var namespaced: Bool

  /// Plural and group, as messages name a kind.
  var resource: String { group.isEmpty ? plural : "\(plural).\(group)" }

  /// Path of the collection, or of an object when a name is given.
  func path(namespace: String?, name: String? = nil) -> [String] {
    var path = root
    if namespaced, let namespace { path += ["namespaces", namespace] }
    path.append(plural)
    if let name { path.append(name) }
    return path
  }
}

/// The kinds an agent serves, so that verbs work for kinds this program was not written for.
struct KindCatalog {
  var kinds: [KindEntry]

  /// Names that only the Stork tools use.
  private static let aliases = [
    "cp": "clusterpairs", "sp": "schedulepolicies", "cds": "clusterdomainsstatuses", "cdu": "clusterdomainupdates",
  ]

  init(_ client: AgentClient) throws(Failure) {
    kinds = try Self.kinds(client, root: ["api", "v1"], group: "")
    for group in try client.send("GET", ["apis"])["groups"]?.array ?? [] {
      let name = group["name"]?.string ?? ""
      let version = group[at: "preferredVersion.version"]?.string ?? ""
      kinds += try Self.kinds(client, root: ["apis", name, version], group: name)
    }
  }

  private static func kinds(_ client: AgentClient, root: [String], group: String) throws(Failure) -> [KindEntry] {
    let list = try client.send("GET", root)
    return (list["resources"]?.array ?? []).filter { !($0["name"]?.string ?? "/").contains("/") }.map { entry in
      KindEntry(
        root: root, group: group, apiVersion: list["groupVersion"]?.string ?? "", kind: entry["kind"]?.string ?? "",
        plural: entry["name"]?.string ?? "", singular: entry["singularName"]?.string ?? "",
        shortNames: entry["shortNames"]?.array?.compactMap(\.string) ?? [],
        namespaced: entry["namespaced"]?.bool ?? false)
    }
  }

  /// The kind a person means: plural, singular, short name, kind, with or without the group.
  func kind(_ text: String) throws(Failure) -> KindEntry {
    let wanted = Self.aliases[text.lowercased()] ?? text.lowercased()
    let found = kinds.first { kind in
      let names = [kind.plural, kind.singular, kind.kind.lowercased()]
      return names.contains(wanted) || kind.shortNames.contains(wanted)
        || (!kind.group.isEmpty && names.contains { "\($0).\(kind.group)" == wanted })
    }
    guard let found else {
      throw Failure(
        .usage, "kind \(text)", "the agent has no such kind",
        remedy: Suggestion.remedy(
          wanted, among: kinds.flatMap { [$0.plural, $0.singular] },
          otherwise: "one of: \(kinds.map(\.plural).joined(separator: ", "))"))
    }
    return found
  }

  /// The kind of a document.
  func kind(of document: JSONValue, name: String) throws(Failure) -> KindEntry {
    let (version, kind) = (document["apiVersion"]?.string ?? "", document["kind"]?.string ?? "")
    guard let found = kinds.first(where: { $0.apiVersion == version && $0.kind == kind }) else {
      throw Failure(
        .failed, name, "the agent has no kind \"\(kind)\" of version \"\(version)\"",
        remedy: "check apiVersion and kind")
    }
    return found
  }
}
