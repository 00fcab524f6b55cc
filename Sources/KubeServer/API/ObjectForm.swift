import APIModel
import KubeModel

/// How objects are written in answers: whole, as their metadata, or as rows of a `meta.k8s.io/v1` Table.
struct ObjectForm: Sendable {
  /// What of the object goes with each row.
  enum Include: String, Sendable {
    case none = "None"
    case metadata = "Metadata"
    case object = "Object"
  }

  var form: Negotiation.Form
  var kind: ResourceKind
  var include: Include
  /// Seconds since 1970.
  var clock: @Sendable () -> Int64

  /// One object.
  func one(_ object: KubeObject) -> JSONValue {
    switch form {
    case .json: object.json
    case .partial: Self.partial(object)
    case .table: table([object], metadata: ["resourceVersion": .string(object.resourceVersion)])
    }
  }

  /// Objects with the metadata of their list.
  func list(_ objects: [KubeObject], metadata: JSONValue) -> JSONValue {
    switch form {
    case .json:
      [
        "apiVersion": .string(kind.apiVersion), "kind": .string(kind.kind + "List"), "metadata": metadata,
        "items": .array(objects.map(\.json)),
      ]
    case .partial:
      [
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": metadata,
        "items": .array(objects.map(Self.partial)),
      ]
    case .table: table(objects, metadata: metadata)
    }
  }

  /// A list of whole objects from their texts.
  func list(_ objects: [ObjectText], metadata: JSONValue) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(objects.reduce(256) { $0 + $1.text.count + 1 })
    bytes += "{\"apiVersion\":\"\(kind.apiVersion)\",\"items\":[".utf8
    for (index, object) in objects.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      bytes += object.text
    }
    bytes += "],\"kind\":\"\(kind.kind)List\",\"metadata\":".utf8
    bytes += JSONWriter.bytes(metadata)
    bytes.append(UInt8(ascii: "}"))
    return bytes
  }

  /// A bookmark: an object of nothing but a version.
  func bookmark(_ metadata: JSONValue) -> JSONValue {
    switch form {
    case .json: ["apiVersion": .string(kind.apiVersion), "kind": .string(kind.kind), "metadata": metadata]
    case .partial: ["apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata]
    case .table: table([], metadata: metadata)
    }
  }

  private static func partial(_ object: KubeObject) -> JSONValue {
    ["kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.metadata]
  }
}

// Tables.
extension ObjectForm {
  private func table(_ objects: [KubeObject], metadata: JSONValue) -> JSONValue {
    let now = clock()
    return [
      "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
      "columnDefinitions": .array(kind.columns.map(definition)), "rows": .array(objects.map { row($0, now) }),
    ]
  }

  private func definition(_ column: ResourceKind.Column) -> JSONValue {
    [
      "name": .string(column.name), "type": .string(column.type), "format": column.name == "Name" ? "name" : "",
      "description": "", "priority": .integer(Int64(column.priority)),
    ]
  }

  private func row(_ object: KubeObject, _ now: Int64) -> JSONValue {
    var row: JSONValue = ["cells": .array(kind.columns.map { $0.cell(object, now) })]
    switch include {
    case .none: row["object"] = .null
    case .object: row["object"] = object.json
    case .metadata: row["object"] = Self.partial(object)
    }
    return row
  }
}
