import APIModel
import KubeModel

/// What the server says about itself: versions, groups and kinds, in the old form and in the aggregated one.
struct Discovery: Sendable {
  private let registry: ResourceRegistry
  private let documents: OpenAPIDocuments
  private let otherPaths: [String]
  private let swagger: OpenAPIv2Document

  /// - Parameter paths: what is served beside the objects.
  init(registry: ResourceRegistry, paths: [String] = []) {
    self.registry = registry
    otherPaths = paths
    documents = OpenAPIDocuments(registry)
    swagger = OpenAPIv2Document(registry)
  }

  /// The answer to a request of discovery; nil for other paths.
  func answer(_ request: APIRequest) -> APIResponse? {
    guard let answer = plain(request) else { return nil }
    guard ["api", "apis", "openapi"].contains(request.path.first ?? "") else { return answer }
    switch answer {
    case .json(200, let json, _):
      return TaggedDocument(contentType: "application/json", JSONWriter.bytes(json)).answer(request)
    case .bytes(200, let type, let bytes, let headers) where headers.isEmpty:
      return TaggedDocument(contentType: type, bytes).answer(request)
    default: return answer
    }
  }

  private func plain(_ request: APIRequest) -> APIResponse? {
    let aggregated = Negotiation.accepts(request.accept, Self.aggregatedType)
    switch request.path {
    case ["version"]: return .json(200, Self.version)
    case ["livez"]: return .text(200, "ok")
    case ["api"] where aggregated: return aggregate([(group: "", version: "v1")])
    case ["apis"] where aggregated: return aggregate(registry.groups)
    case []: return .json(200, ["paths": .array(paths.map(JSONValue.string))])
    case ["api"]: return .json(200, ["kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []])
    case ["apis"]:
      return .json(
        200, ["kind": "APIGroupList", "apiVersion": "v1", "groups": .array(registry.groups.map(Self.group))])
    case ["api", "v1"]: return resources(group: "", version: "v1")
    case ["openapi", "v2"]: return swagger.answer(request)
    default: return nested(request)
    }
  }

  /// What there is to ask for, for people who begin at the root.
  private var paths: [String] {
    let groups = registry.groups.flatMap { ["/apis/\($0.group)", "/apis/\($0.group)/\($0.version)"] }
    return (["/api", "/api/v1", "/apis", "/livez", "/openapi/v2", "/openapi/v3", "/version"] + groups + otherPaths)
      .sorted()
  }

  private func nested(_ request: APIRequest) -> APIResponse? {
    let path = request.path
    if path.starts(with: ["openapi", "v3"]) { return documents.answer(request) }
    if path.count == 2, path[0] == "apis", let found = registry.groups.first(where: { $0.group == path[1] }) {
      var group = Self.group(found)
      group["kind"] = "APIGroup"
      group["apiVersion"] = "v1"
      return .json(200, group)
    }
    if path.count == 3, path[0] == "apis" { return resources(group: path[1], version: path[2]) }
    return nil
  }

  /// The version of Kubernetes whose API this is; clients compare it with their own.
  private static let version: JSONValue = [
    "major": "1", "minor": "32", "gitVersion": "v1.32.0+repl-agent", "gitCommit": "", "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z", "goVersion": "", "compiler": "swiftc", "platform": "linux",
  ]

  private func kinds(_ group: String, _ version: String) -> [ResourceKind] {
    registry.kinds.filter { $0.group == group && $0.version == version }
  }

  static func verbs(_ kind: ResourceKind) -> JSONValue { .array(kind.verbs.sorted().map(JSONValue.string)) }

  private static func addNames(_ kind: ResourceKind, to entry: inout JSONValue) {
    if !kind.shortNames.isEmpty { entry["shortNames"] = .array(kind.shortNames.map(JSONValue.string)) }
    if !kind.categories.isEmpty { entry["categories"] = .array(kind.categories.map(JSONValue.string)) }
  }

  /// Verbs of a status subresource.
  private static let statusVerbs: JSONValue = ["get", "patch", "update"]
}

// The old form: a list of groups, and a list of kinds for each.
extension Discovery {
  private static func group(_ group: (group: String, version: String)) -> JSONValue {
    let version: JSONValue = [
      "groupVersion": .string("\(group.group)/\(group.version)"), "version": .string(group.version),
    ]
    return ["name": .string(group.group), "versions": [version], "preferredVersion": version]
  }

  private func resources(group: String, version: String) -> APIResponse? {
    let kinds = kinds(group, version)
    guard let first = kinds.first else { return nil }
    var list: [JSONValue] = []
    for kind in kinds {
      var entry: JSONValue = [
        "name": .string(kind.plural), "singularName": .string(kind.singular), "namespaced": .bool(kind.namespaced),
        "kind": .string(kind.kind), "verbs": Self.verbs(kind),
      ]
      Self.addNames(kind, to: &entry)
      list.append(entry)
      if kind.hasStatus {
        list.append([
          "name": .string("\(kind.plural)/status"), "singularName": "", "namespaced": .bool(kind.namespaced),
          "kind": .string(kind.kind), "verbs": Self.statusVerbs,
        ])
      }
      if kind.hasScale {
        list.append([
          "name": .string("\(kind.plural)/scale"), "singularName": "", "namespaced": .bool(kind.namespaced),
          "group": .string(ResourceKind.scale.group), "version": .string(ResourceKind.scale.version),
          "kind": .string(ResourceKind.scale.kind), "verbs": Self.statusVerbs,
        ])
      }
    }
    return .json(
      200,
      [
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": .string(first.apiVersion),
        "resources": .array(list),
      ])
  }
}

// The aggregated form: everything in two answers.
extension Discovery {
  /// Clients look for exactly this type.
  private static let aggregatedType = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

  private func aggregate(_ versions: [(group: String, version: String)]) -> APIResponse {
    let items = versions.map { version -> JSONValue in
      [
        "metadata": version.group.isEmpty ? [:] : ["name": .string(version.group)],
        "versions": [
          [
            "version": .string(version.version), "freshness": "Current",
            "resources": .array(kinds(version.group, version.version).map(Self.aggregated)),
          ]
        ],
      ]
    }
    let list: JSONValue = [
      "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": [:],
      "items": .array(items),
    ]
    return .bytes(200, contentType: Self.aggregatedType, JSONWriter.bytes(list))
  }

  private static func aggregated(_ kind: ResourceKind) -> JSONValue {
    var entry: JSONValue = [
      "resource": .string(kind.plural), "responseKind": OpenAPISchema.names(kind),
      "scope": kind.namespaced ? "Namespaced" : "Cluster", "singularResource": .string(kind.singular),
      "verbs": verbs(kind),
    ]
    addNames(kind, to: &entry)
    let subresources = (kind.hasStatus ? [("status", kind)] : []) + (kind.hasScale ? [("scale", .scale)] : [])
    if !subresources.isEmpty {
      entry["subresources"] = .array(
        subresources.map { name, kind in
          ["subresource": .string(name), "responseKind": OpenAPISchema.names(kind), "verbs": statusVerbs]
        })
    }
    return entry
  }
}
