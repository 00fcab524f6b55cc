import APIModel

/// Descriptions of values in the words of OpenAPI 3.0.
enum OpenAPISchema {
  /// Name of the shared description of metadata among the components.
  static let metadataName = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

  /// The component of a whole kind.
  static func component(_ kind: ResourceKind) -> JSONValue {
    var json = self.json(kind.schema)
    json["x-kubernetes-group-version-kind"] = [names(kind)]
    return json
  }

  static func names(_ kind: ResourceKind) -> JSONValue {
    ["group": .string(kind.group), "version": .string(kind.version), "kind": .string(kind.kind)]
  }

  static func json(_ schema: Schema) -> JSONValue {
    var json = form(schema.form)
    if !schema.text.isEmpty { json["description"] = .string(schema.text) }
    if schema.atomic { json["x-kubernetes-map-type"] = "atomic" }
    if !schema.values.isEmpty { json["enum"] = .array(schema.values.map(JSONValue.string)) }
    return json
  }

  private static func form(_ form: Schema.Form) -> JSONValue {
    switch form {
    case .string, .quantity: return ["type": "string"]
    case .integer: return ["type": "integer", "format": "int64"]
    case .boolean: return ["type": "boolean"]
    case .time: return ["type": "string", "format": "date-time"]
    case .intOrString: return ["oneOf": [["type": "integer"], ["type": "string"]], "format": "int-or-string"]
    case .anything: return ["type": "object", "x-kubernetes-preserve-unknown-fields": true]
    case .map(let values): return ["type": "object", "additionalProperties": json(values)]
    case .object(let fields):
      var properties: [String: JSONValue] = [:]
      for field in fields { properties[field.name] = property(field) }
      return ["type": "object", "properties": .object(properties)]
    case .list(let element, let merge):
      var list: JSONValue = ["type": "array", "items": json(element)]
      add(merge, to: &list)
      return list
    }
  }

  private static func add(_ merge: Schema.ListMerge, to list: inout JSONValue) {
    list["x-kubernetes-list-type"] = merge.isAtomic ? "atomic" : "map"
    switch merge {
    case .atomic: break
    case .set:
      list["x-kubernetes-list-type"] = "set"
      list["x-kubernetes-patch-strategy"] = "merge"
    case .keyed(let keys):
      list["x-kubernetes-patch-strategy"] = "merge"
      list["x-kubernetes-patch-merge-key"] = .string(keys.patch)
      if !keys.apply.isEmpty { list["x-kubernetes-list-map-keys"] = .array(keys.apply.map(JSONValue.string)) }
    }
  }

  /// Metadata is described once and referred to.
  private static func property(_ field: Schema.Field) -> JSONValue {
    guard field.name == "metadata" else { return json(field.schema) }
    return ["allOf": [["$ref": .string("#/components/schemas/\(metadataName)")]]]
  }
}
