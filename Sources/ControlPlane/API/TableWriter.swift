import APIModel

/// Server-side printing: `meta.k8s.io/v1` Tables.
struct TableWriter: Sendable {
  /// What of the object goes with each row.
  enum Include: String, Sendable {
    case none = "None"
    case metadata = "Metadata"
    case object = "Object"
  }

  var kind: ResourceKind
  var include: Include
  /// Seconds since 1970.
  var now: Int64

  /// A table writer if the request asks for a table first of all.
  init?(_ request: APIRequest, kind: ResourceKind, now: Int64) {
    let first = request.accept.split(separator: ",").first.map(String.init) ?? ""
    guard first.contains("as=Table") else { return nil }
    self.kind = kind
    self.now = now
    include = Include(rawValue: request.query["includeObject"] ?? "") ?? .metadata
  }

  /// A table of objects with the metadata of their list.
  func table(_ objects: [KubeObject], metadata: JSONValue) -> JSONValue {
    [
      "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
      "columnDefinitions": .array(kind.columns.map(definition)), "rows": .array(objects.map(row)),
    ]
  }

  private func definition(_ column: ResourceKind.Column) -> JSONValue {
    [
      "name": .string(column.name), "type": .string(column.type), "format": column.name == "Name" ? "name" : "",
      "description": "", "priority": .integer(Int64(column.priority)),
    ]
  }

  private func row(_ object: KubeObject) -> JSONValue {
    var row: JSONValue = ["cells": .array(kind.columns.map { $0.cell(object, now) })]
    switch include {
    case .none: row["object"] = .null
    case .object: row["object"] = object.json
    case .metadata:
      row["object"] = [
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.metadata,
      ]
    }
    return row
  }
}
