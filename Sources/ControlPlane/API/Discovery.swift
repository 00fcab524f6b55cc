import APIModel

/// What the server says about itself: versions, groups, kinds, and enough of a schema for kubectl to trust it.
struct Discovery: Sendable {
  var registry: ResourceRegistry

  private static let verbs: JSONValue = [
    "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
  ]

  /// The answer to a path of discovery; nil for other paths.
  func answer(_ path: [String]) -> APIResponse? {
    switch path {
    case ["version"]: .json(200, Self.version)
    case ["healthz"], ["livez"], ["readyz"]: .text(200, "ok")
    case ["api"]: .json(200, ["kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []])
    case ["apis"]:
      .json(200, ["kind": "APIGroupList", "apiVersion": "v1", "groups": .array(registry.groups.map(Self.group))])
    case ["api", "v1"]: resources(group: "", version: "v1")
    case ["openapi", "v2"]: .bytes(200, contentType: Self.openAPIv2Type, Self.openAPIv2)
    case ["openapi", "v3"]: .json(200, openAPIIndex)
    default: nested(path)
    }
  }

  private func nested(_ path: [String]) -> APIResponse? {
    if path.count == 2, path[0] == "apis", let found = registry.groups.first(where: { $0.group == path[1] }) {
      var group = Self.group(found)
      group["kind"] = "APIGroup"
      group["apiVersion"] = "v1"
      return .json(200, group)
    }
    if path.count == 3, path[0] == "apis" { return resources(group: path[1], version: path[2]) }
    if path == ["openapi", "v3", "api", "v1"] { return document(group: "", version: "v1") }
    if path.count == 5, path[0...2] == ["openapi", "v3", "apis"] { return document(group: path[3], version: path[4]) }
    return nil
  }

  private static let version: JSONValue = [
    "major": "1", "minor": "32", "gitVersion": "v1.32.0+repl-agent", "gitCommit": "", "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z", "goVersion": "", "compiler": "swiftc", "platform": "linux",
  ]

  private static func group(_ group: (group: String, version: String)) -> JSONValue {
    let version: JSONValue = [
      "groupVersion": .string("\(group.group)/\(group.version)"), "version": .string(group.version),
    ]
    return ["name": .string(group.group), "versions": [version], "preferredVersion": version]
  }

  private func kinds(_ group: String, _ version: String) -> [ResourceKind] {
    registry.kinds.filter { $0.group == group && $0.version == version }
  }

  private func resources(group: String, version: String) -> APIResponse? {
    let kinds = kinds(group, version)
    guard let first = kinds.first else { return nil }
    var list: [JSONValue] = []
    for kind in kinds {
      var entry: JSONValue = [
        "name": .string(kind.plural), "singularName": .string(kind.singular), "namespaced": .bool(kind.namespaced),
        "kind": .string(kind.kind), "verbs": Self.verbs,
      ]
      if !kind.shortNames.isEmpty { entry["shortNames"] = .array(kind.shortNames.map(JSONValue.string)) }
      list.append(entry)
      if kind.hasStatus {
        list.append([
          "name": .string("\(kind.plural)/status"), "singularName": "", "namespaced": .bool(kind.namespaced),
          "kind": .string(kind.kind), "verbs": ["get", "patch", "update"],
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

  private static let openAPIv2Type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
  /// An empty document in protobuf: swagger "2.0", title "agent", version "1"; older kubectl insists on one.
  private static let openAPIv2: [UInt8] = [
    0x0A, 0x03, 0x32, 0x2E, 0x30, 0x12, 0x0A, 0x0A, 0x05, 0x61, 0x67, 0x65, 0x6E, 0x74, 0x12, 0x01, 0x31, 0x42, 0x00,
  ]

  private var openAPIIndex: JSONValue {
    var paths: [String: JSONValue] = ["api/v1": ["serverRelativeURL": "/openapi/v3/api/v1?hash=1"]]
    for group in registry.groups {
      let path = "apis/\(group.group)/\(group.version)"
      paths[path] = ["serverRelativeURL": .string("/openapi/v3/\(path)?hash=1")]
    }
    return ["paths": .object(paths)]
  }

  private func document(group: String, version: String) -> APIResponse? {
    let kinds = kinds(group, version)
    guard !kinds.isEmpty else { return nil }
    var paths: [String: JSONValue] = [:]
    for kind in kinds {
      let names: JSONValue = [
        "group": .string(kind.group), "version": .string(kind.version), "kind": .string(kind.kind),
      ]
      let middle = kind.namespaced ? "/namespaces/{namespace}" : ""
      paths["\(kind.root)\(middle)/\(kind.plural)/{name}"] = [
        "patch": [
          "x-kubernetes-group-version-kind": names, "parameters": [["name": "fieldValidation", "in": "query"]],
        ]
      ]
    }
    return .json(
      200,
      [
        "openapi": "3.0.0", "info": ["title": "repl-agent", "version": "1"], "components": ["schemas": [:]],
        "paths": .object(paths),
      ])
  }
}
