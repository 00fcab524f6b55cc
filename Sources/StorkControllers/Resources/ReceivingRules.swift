import APIModel
import KubeModel
import ReplModel

/// What a peer may have applied here: decided by this end alone. Pure.
struct ReceivingRules: Hashable, Sendable {
  /// Cluster id that TLS has authenticated.
  var cluster: String
  /// Whether a ClusterPair of this end with that cluster accepts cluster-wide kinds and the system's namespaces.
  var acceptsClusterResources: Bool
  /// Namespaces of the Migration.
  var namespaces: Set<String>

  /// The option of a ClusterPair at the receiver.
  static let option = "acceptClusterResources"
  private static let systemNamespaces: Set<String> = ["kube-system", "kube-public", "kube-node-lease"]
  /// Cluster-wide kinds that may travel. Volumes have rules of their own; nodes are of one cluster only.
  private static let clusterKinds: [ResourceKind] = [.storageClass]

  /// Whether some pair with a cluster has the option; values may be texts or booleans.
  static func accepts(_ pairs: [KubeObject], from cluster: String) -> Bool {
    pairs.contains { pair in
      !pair.isDeleting && pair.status["remoteStorageId"]?.string == cluster
        && pair.spec["options"]?[option]?.text?.lowercased() == "true"
    }
  }

  /// The kind to store an object as, or why it is refused.
  func kind(of object: KubeObject) -> Result<ResourceKind, ReplError> {
    if let kind = MigratedKinds.kind(of: object, in: MigratedKinds.namespaced) {
      return namespaceRefusal(object.namespace).map { .failure($0) } ?? .success(kind)
    }
    guard let kind = MigratedKinds.kind(of: object, in: Self.clusterKinds) else {
      return .failure(refusal("kind \(object.kind) of \(object.apiVersion) is not accepted from a peer", nil))
    }
    guard acceptsClusterResources else {
      return .failure(refusal("cluster-wide kinds are not accepted from \(cluster)", Self.remedy))
    }
    return .success(kind)
  }

  /// Why nothing may be applied in a namespace; nil if it may.
  func namespaceRefusal(_ namespace: String) -> ReplError? {
    guard namespaces.contains(namespace) else {
      return refusal("namespace \"\(namespace)\" is not one of the Migration", nil)
    }
    guard acceptsClusterResources || !Self.systemNamespaces.contains(namespace) else {
      return refusal("namespace \(namespace) is not accepted from \(cluster)", Self.remedy)
    }
    return nil
  }

  /// Why an object that is here stays as it is; nil if it came from this peer.
  func overwriteRefusal(_ existing: KubeObject) -> String? {
    if existing.isDeleting { return "is being deleted here" }
    guard let origin = existing.annotations[MigrationMark.origin] else {
      return "exists here and did not come from \(cluster): it is not overwritten"
    }
    return origin == cluster ? nil : "exists here and came from \(origin): it is not overwritten"
  }

  private static let remedy = "set spec.options.\(option) to \"true\" in the ClusterPair of the receiving cluster"

  private func refusal(_ cause: String, _ remedy: String?) -> ReplError {
    ReplError(.refused, subject: "cluster \(cluster)", cause: cause, remedy: remedy)
  }
}
