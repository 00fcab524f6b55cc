/// The kinds a server knows.
public struct ResourceRegistry: Sendable {
  /// In the order of discovery.
  public let kinds: [ResourceKind]

  public init(_ kinds: [ResourceKind]) { self.kinds = kinds }

  /// What the agent serves of Kubernetes' own kinds.
  public static let builtIn: [ResourceKind] = [
    .namespace, .event, .persistentVolume, .persistentVolumeClaim, .configMap, .secret, .serviceAccount, .service,
    .node,
    .deployment, .statefulSet, .job, .cronJob, .storageClass, .lease, .pod, .replicaSet, .customResourceDefinition,
  ]

  /// The kind served under a group, version and plural name.
  public func kind(group: String, version: String, plural: String) -> ResourceKind? {
    kinds.first { $0.group == group && $0.version == version && $0.plural == plural }
  }

  /// The kind of a stored object.
  public func kind(resource: String) -> ResourceKind? { kinds.first { $0.resource == resource } }

  /// Groups with their one version, without the core group, in the order of the kinds.
  public var groups: [(group: String, version: String)] {
    var seen: [(group: String, version: String)] = []
    for kind in kinds where !kind.group.isEmpty && !seen.contains(where: { $0.group == kind.group }) {
      seen.append((kind.group, kind.version))
    }
    return seen
  }
}
