import APIModel
import KubeModel

/// What the Stork clients read about the controller they talk to.
enum StorkSettings {
  /// Tells the admin namespace; without it the clients warn and take the same one.
  static let name = "stork-controller-config"

  /// Makes the ConfigMap if it is absent; one that is there is left as it is.
  static func ensure(_ store: any KubeStore) async throws(StatusError) {
    var settings = ResourceKind.configMap.object(namespace: Stork.adminNamespace, name: name)
    settings.json["data"] = ["admin-ns": .string(Stork.adminNamespace)]
    do { _ = try await store.create(.configMap, settings) } catch {
      if error.reason != "AlreadyExists" { throw error }
    }
  }
}
