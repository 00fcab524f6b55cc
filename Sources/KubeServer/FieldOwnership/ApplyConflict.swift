import APIModel
import KubeModel

/// How the refusal of an apply reads.
enum ApplyConflict {
  /// 409 with a cause for each field, in the words real servers use.
  static func error(_ conflicts: [(manager: ManagedFields.Key, fields: FieldSet)]) -> StatusError {
    var causes: [StatusError.Cause] = []
    var lines: [String] = []
    for (manager, fields) in conflicts {
      let name = Self.name(manager)
      lines.append("conflicts with \(name):")
      for path in fields.paths {
        let field = path.map(\.description).joined()
        causes.append(StatusError.Cause(reason: "FieldManagerConflict", message: "conflict with \(name)", field: field))
        lines.append("- \(field)")
      }
    }
    let text =
      causes.count == 1
      ? "Apply failed with 1 conflict: \(causes[0].message): \(causes[0].field)"
      : "Apply failed with \(causes.count) conflicts: \(lines.joined(separator: "\n"))"
    return StatusError(409, "Conflict", text, causes: causes)
  }

  private static func name(_ key: ManagedFields.Key) -> String {
    var text = "\"\(key.manager)\""
    if !key.subresource.isEmpty { text += " with subresource \"\(key.subresource)\"" }
    if key.operation == .update { text += " using \(key.apiVersion)" }
    return text
  }
}

/// What an applied configuration must be.
enum ApplyBody {
  static func check(_ config: JSONValue, kind: ResourceKind) throws(StatusError) {
    if let owners = config[path: ["metadata", "managedFields"]], !owners.isNull {
      throw StatusError(400, "BadRequest", "metadata.managedFields must be nil")
    }
    guard let problem = problem(config, kind.schema, "") else { return }
    let object = KubeObject(config)
    throw StatusError(
      400, "BadRequest",
      "failed to create typed patch object (\(object.namespace)/\(object.name); \(kind.apiVersion), Kind=\(kind.kind)): "
        + problem)
  }

  /// Lists that are merged must tell their elements apart.
  private static func problem(_ value: JSONValue, _ schema: Schema?, _ path: String) -> String? {
    switch value {
    case .object(let fields):
      if schema?.atomic == true { return nil }
      return fields.sorted { $0.key < $1.key }.lazy.compactMap { name, value in
        schema?.child(name).flatMap { problem(value, $0, "\(path).\(name)") }
      }.first
    case .array(let items):
      do {
        var seen: Set<PathElement> = []
        for (element, value) in try FieldShape.elements(items, schema) {
          if !seen.insert(element).inserted { return "\(path): duplicate entries for key \(element.description)" }
          if let problem = problem(value, schema?.child(element), path + element.description) { return problem }
        }
        return nil
      } catch {
        if case .element(let index, let text) = error { return "\(path): element \(index): \(text)" }
        return nil
      }
    default: return nil
    }
  }
}
