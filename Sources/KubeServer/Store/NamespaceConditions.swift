import APIModel
import KubeModel

/// What the status of a namespace says while its contents hold up its deletion. Pure.
enum NamespaceConditions {
  /// Contents left, by resource, and how many of them each finalizer keeps.
  struct Remaining: Sendable {
    var resources: [String: Int] = [:]
    var finalizers: [String: Int] = [:]
  }

  /// The conditions; the time of each changes with its status only.
  static func conditions(_ remaining: Remaining, old: [JSONValue], now: Int64) -> [JSONValue] {
    func list(_ counts: [String: Int], _ words: String) -> String {
      counts.sorted { $0.key < $1.key }.map { "\($0.key) \(words.replacing("N", with: String($0.value)))" }
        .joined(separator: ", ")
    }
    let contents = "Some resources are remaining: " + list(remaining.resources, "has N resource instances")
    let finalizers =
      "Some content in the namespace has finalizers remaining: "
      + list(remaining.finalizers, "in N resource instances")
    let wanted: [(type: String, status: Bool, reason: String, message: String)] = [
      ("NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered", "All resources successfully discovered"),
      (
        "NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions",
        "All legacy kube types successfully parsed"
      ),
      (
        "NamespaceDeletionContentFailure", false, "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization"
      ),
      ("NamespaceContentRemaining", true, "SomeResourcesRemain", contents),
      ("NamespaceFinalizersRemaining", !remaining.finalizers.isEmpty, "SomeFinalizersRemain", finalizers),
    ]
    return wanted.map { condition in
      let status: JSONValue = condition.status ? "True" : "False"
      let before = old.first { $0["type"]?.string == condition.type && $0["status"] == status }
      return [
        "type": .string(condition.type), "status": status, "reason": .string(condition.reason),
        "message": .string(condition.message),
        "lastTransitionTime": before?["lastTransitionTime"] ?? .string(Timestamp.text(now)),
      ]
    }
  }
}
