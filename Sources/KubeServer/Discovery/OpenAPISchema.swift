import APIModel
import KubeModel

/// Descriptions of values in the words of OpenAPI.
struct OpenAPISchema: Sendable {
  enum Version: Sendable {
    /// Swagger 2.0, for clients up to Kubernetes 1.28.
    case two
    /// OpenAPI 3.0.
    case three
  }

  var version: Version

  static let two = OpenAPISchema(version: .two)
  static let three = OpenAPISchema(version: .three)

  /// Name of the shared description of metadata.
  static let metadataName = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

  /// The name of a kind's description among all.
  static func name(_ kind: ResourceKind) -> String {
    "\(kind.group.isEmpty ? "core" : kind.group).\(kind.version).\(kind.kind)"
  }

  /// The description of a whole kind.
  func component(_ kind: ResourceKind) -> JSONValue {
    var json = self.json(kind.schema)
    json["x-kubernetes-group-version-kind"] = [Self.names(kind)]
    return json
  }

  static func names(_ kind: ResourceKind) -> JSONValue {
    ["group": .string(kind.group), "version": .string(kind.version), "kind": .string(kind.kind)]
  }

  /// A reference to a description by its name.
  func reference(_ name: String) -> JSONValue {
    switch version {
    case .two: ["$ref": .string("#/definitions/\(name)")]
    case .three: ["allOf": [["$ref": .string("#/components/schemas/\(name)")]]]
    }
  }

  func json(_ schema: Schema) -> JSONValue {
    var json = form(schema.form)
    if !schema.text.isEmpty { json["description"] = .string(schema.text) }
    if schema.atomic { json["x-kubernetes-map-type"] = "atomic" }
    if !schema.values.isEmpty { json["enum"] = .array(schema.values.map(JSONValue.string)) }
    return json
  }

  private func form(_ form: Schema.Form) -> JSONValue {
    switch form {
    case .string, .quantity, .looseString: return ["type": "string"]
    case .integer(let width): return ["type": "integer", "format": .string(width == .int32 ? "int32" : "int64")]
    case .bytes: return ["type": "string", "format": "byte"]
    case .boolean: return ["type": "boolean"]
    case .time: return ["type": "string", "format": "date-time"]
    case .intOrString where version == .two: return ["type": "string", "format": "int-or-string"]
    case .intOrString: return ["oneOf": [["type": "integer"], ["type": "string"]], "format": "int-or-string"]
    // Clients that check by the old form take a value without a type for any.
    case .anything where version == .two: return ["x-kubernetes-preserve-unknown-fields": true]
    case .anything: return ["type": "object", "x-kubernetes-preserve-unknown-fields": true]
    case .map(let values): return ["type": "object", "additionalProperties": json(values)]
    case .object(let fields) where fields.isEmpty: return ["type": "object"]
    case .object(let fields):
      var properties: [String: JSONValue] = [:]
      for field in fields { properties[field.name] = property(field) }
      return ["type": "object", "properties": .object(properties)]
    case .list(let element, let merge):
      var list: JSONValue = ["type": "array", "items": json(element)]
      Self.add(merge, to: &list)
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
  private func property(_ field: Schema.Field) -> JSONValue {
    field.name == "metadata" ? reference(Self.metadataName) : json(field.schema)
  }
}
