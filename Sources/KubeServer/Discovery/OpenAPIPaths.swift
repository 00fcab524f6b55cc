import APIModel
import KubeModel

/// The paths of a kind and what can be done there, for OpenAPI documents of either version.
struct OpenAPIPaths: Sendable {
  var schema: OpenAPISchema

  /// The items of a kind's paths, by path.
  func paths(_ kind: ResourceKind) -> [String: JSONValue] {
    let collection = "\(kind.root)\(kind.namespaced ? "/namespaces/{namespace}" : "")/\(kind.plural)"
    var paths = [
      "\(collection)/{name}": operations(
        kind, ["get": "get", "update": "put", "patch": "patch", "delete": "delete"], named: true),
      collection: operations(kind, ["list": "get", "create": "post", "deletecollection": "delete"], named: false),
    ]
    if kind.hasStatus {
      paths["\(collection)/{name}/status"] = operations(
        kind, ["get": "get", "update": "put", "patch": "patch"], named: true)
    }
    return paths
  }

  /// The operations of a path for those verbs that the kind has. Clients trust the server to check fields, and to try
  /// writes without making them, where a write has the parameter for it.
  private func operations(_ kind: ResourceKind, _ methods: [String: String], named: Bool) -> JSONValue {
    var operations: [String: JSONValue] = [:]
    for (verb, method) in methods where kind.verbs.contains(verb) {
      var operation: JSONValue = [
        "x-kubernetes-group-version-kind": OpenAPISchema.names(kind), "x-kubernetes-action": .string(verb),
        "responses": ["200": ["description": "OK"]],
      ]
      var parameters = Self.options(verb).map { parameter($0, in: "query") }
      if schema.version == .two, ["create", "update", "patch"].contains(verb) {
        let body = verb == "patch" ? ["type": "object"] : schema.reference(OpenAPISchema.name(kind))
        parameters.append(["name": "body", "in": "body", "required": true, "schema": body])
      }
      if !parameters.isEmpty { operation["parameters"] = .array(parameters) }
      operations[method] = operation
    }
    if schema.version == .two {
      let names = (kind.namespaced ? ["namespace"] : []) + (named ? ["name"] : [])
      if !names.isEmpty { operations["parameters"] = .array(names.map { parameter($0, in: "path") }) }
    }
    return .object(operations)
  }

  private static func options(_ verb: String) -> [String] {
    switch verb {
    case "create", "update": ["dryRun", "fieldManager", "fieldValidation"]
    case "patch": ["dryRun", "fieldManager", "fieldValidation", "force"]
    case "delete", "deletecollection": ["dryRun", "propagationPolicy"]
    default: []
    }
  }

  private func parameter(_ name: String, in place: String) -> JSONValue {
    let type: JSONValue = name == "force" ? "boolean" : "string"
    var parameter: JSONValue = ["name": .string(name), "in": .string(place)]
    if schema.version == .two { parameter["type"] = type } else { parameter["schema"] = ["type": type] }
    if place == "path" { parameter["required"] = true }
    return parameter
  }
}
