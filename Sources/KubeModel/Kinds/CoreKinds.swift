import APIModel

extension ResourceKind {
  /// core/v1 Namespace.
  public static let namespace: ResourceKind = {
    var kind = ResourceKind(
      group: "", version: "v1", kind: "Namespace", plural: "namespaces", namespaced: false, custom: false)
    kind.description = "A room of its own for the names of objects."
    kind.fields = Schema.namespace
    kind.shortNames = ["ns"]
    kind.verbs.remove("deletecollection")
    kind.hasStatus = true
    kind.labelName = true
    kind.fieldSelectors = ["status.phase"]
    kind.columns = [
      .name, Column("Status") { object, _ in .string(object.json[at: "status.phase"]?.string ?? "") }, .age,
    ]
    kind.defaults = { object in
      object.json[at: "metadata.labels"] = .object(
        (object.metadata["labels"]?.object ?? [:]).merging(
          ["kubernetes.io/metadata.name": .string(object.name)], uniquingKeysWith: { $1 }))
    }
    kind.prepare = { object in
      object.json[at: "spec.finalizers"] = ["kubernetes"]
      object.json["status"] = ["phase": "Active"]
    }
    return kind
  }()

  /// core/v1 Event.
  public static let event: ResourceKind = {
    var kind = ResourceKind(group: "", version: "v1", kind: "Event", plural: "events", namespaced: true, custom: false)
    kind.description = "Something that happened to an object."
    kind.fields = Schema.event
    kind.shortNames = ["ev"]
    kind.fieldSelectors = [
      "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
      "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
      "reportingComponent", "source", "type",
    ]
    kind.columns = eventColumns
    kind.validate = { object, _ in
      let involved = object.json[at: "involvedObject.namespace"]?.string ?? ""
      let expected = involved.isEmpty ? "default" : involved
      guard object.namespace != expected else { return [] }
      return [
        StatusError.Cause(
          reason: "FieldValueInvalid", message: "Invalid value: \"\(involved)\": does not match event.namespace",
          field: "involvedObject.namespace")
      ]
    }
    return kind
  }()

  private static var eventColumns: [Column] {
    [
      Column("Last Seen") { object, now in
        let last = object.json["lastTimestamp"]?.string ?? object.json["eventTime"]?.string ?? ""
        return .string(Timestamp.seconds(last).map { DurationText.age(now - $0) } ?? "<unknown>")
      },
      Column("Type") { object, _ in .string(object.json["type"]?.string ?? "") },
      Column("Reason") { object, _ in .string(object.json["reason"]?.string ?? "") },
      Column("Object") { object, _ in
        let involved = object.json["involvedObject"] ?? .null
        return .string("\((involved["kind"]?.string ?? "").lowercased())/\(involved["name"]?.string ?? "")")
      },
      Column("Subobject", priority: 1) { object, _ in .string(object.json[at: "involvedObject.fieldPath"]?.string ?? "")
      },
      Column("Source", priority: 1) { object, _ in .string(object.json[at: "source.component"]?.string ?? "") },
      Column("Message") { object, _ in .string(object.json["message"]?.string ?? "") },
      Column("First Seen", priority: 1) { object, now in
        let first = Timestamp.seconds(object.json["firstTimestamp"]?.string ?? "")
        return .string(first.map { DurationText.age(now - $0) } ?? "<unknown>")
      },
      Column("Count", type: "integer", priority: 1) { object, _ in object.json["count"] ?? 1 },
      Column("Name", priority: 1) { object, _ in .string(object.name) },
    ]
  }
}
