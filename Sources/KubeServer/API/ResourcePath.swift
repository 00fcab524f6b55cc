import APIModel
import KubeModel

/// What the path of an object request names.
struct ResourcePath: Sendable {
  var kind: ResourceKind
  /// nil: all namespaces, or a kind without namespaces.
  var namespace: String?
  /// nil: the collection.
  var name: String?
  var subresource: String?

  /// Reads a decoded path; nil if it names no kind of the registry.
  init?(_ path: [String], registry: ResourceRegistry) {
    var rest = path[...]
    var (group, version) = ("", "")
    switch rest.popFirst() {
    case "api": version = rest.popFirst() ?? ""
    case "apis":
      group = rest.popFirst() ?? ""
      version = rest.popFirst() ?? ""
      if group.isEmpty { return nil }
    default: return nil
    }
    var namespace: String?
    // "namespaces/NAME" and "namespaces/NAME/status" are the namespace itself.
    if rest.first == "namespaces", rest.count > 2, !(rest.count == 3 && rest.last == "status") {
      namespace = rest[rest.startIndex + 1]
      rest = rest.dropFirst(2)
    }
    guard let plural = rest.popFirst(), let kind = registry.kind(group: group, version: version, plural: plural),
      kind.namespaced || namespace == nil
    else { return nil }
    self.kind = kind
    self.namespace = namespace
    name = rest.popFirst()
    subresource = rest.popFirst()
    guard rest.isEmpty, !(kind.namespaced && name != nil && namespace == nil) else { return nil }
  }
}
