import APIModel
import KubeModel

/// Which form of an answer a client wants: the first of its `Accept` list that this server has.
enum Negotiation {
  enum Form: Sendable, Hashable {
    case json
    case table
    /// Metadata only.
    case partial
  }

  /// The form of an answer with objects; 406 if nothing in the list is known here.
  static func form(_ accept: String) throws(StatusError) -> Form {
    if accept.allSatisfy({ $0 == " " }) { return .json }
    for entry in accept.split(separator: ",").prefix(64) {
      let (type, parameters) = parse(entry)
      guard ["application/json", "application/*", "*/*"].contains(type) else { continue }
      switch parameters["as"] {
      case nil: return .json
      case "Table" where isMeta(parameters): return .table
      case "PartialObjectMetadata" where isMeta(parameters), "PartialObjectMetadataList" where isMeta(parameters):
        return .partial
      default: continue
      }
    }
    throw StatusError(406, "NotAcceptable", "only the following media types are accepted: application/json")
  }

  /// Whether a list has an entry of this type with these parameters before plain JSON.
  static func accepts(_ accept: String, _ wanted: String) -> Bool {
    let wanted = parse(Substring(wanted))
    for entry in accept.split(separator: ",").prefix(64) {
      let found = parse(entry)
      if found.type == wanted.type, found.parameters["q"] == nil, found.parameters == wanted.parameters { return true }
      if found.parameters["as"] == nil, found.type == "application/json" { return false }
    }
    return false
  }

  private static func isMeta(_ parameters: [String: String]) -> Bool {
    parameters["g"] == "meta.k8s.io" && ["v1", "v1beta1"].contains(parameters["v"] ?? "")
  }

  private static func parse(_ entry: Substring) -> (type: String, parameters: [String: String]) {
    let parts = entry.split(separator: ";").map { $0.split(separator: " ").joined() }
    var parameters: [String: String] = [:]
    for part in parts.dropFirst() {
      let pair = part.split(separator: "=", maxSplits: 1)
      if pair.count == 2 { parameters[String(pair[0])] = String(pair[1]) }
    }
    return (parts.first?.lowercased() ?? "", parameters)
  }
}
