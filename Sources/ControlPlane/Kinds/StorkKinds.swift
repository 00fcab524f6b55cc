/// Names that the Stork objects share.
public enum Stork {
  public static let group = "stork.libopenstorage.org"
  public static let version = "v1alpha1"
  /// Keeps an object until its controller has cleaned up.
  public static let finalizer = "stork.libopenstorage.org/finalizer-cleanup"
  /// Objects with this annotation set to true are never collected.
  public static let skipResource = "stork.libopenstorage.org/skip-resource"
  /// The one namespace whose Migrations may name other namespaces.
  public static let adminNamespace = "kube-system"
}

extension ResourceKind {
  /// A namespaced kind of the Stork group: Name and Age are all its table shows, as the real definitions have it.
  private static func stork(_ kind: String, plural: String) -> ResourceKind {
    var resource = ResourceKind(
      group: Stork.group, version: Stork.version, kind: kind, plural: plural, namespaced: true, custom: true)
    resource.columns = [.name, .age]
    return resource
  }

  /// Trust with a peer agent: address, token and mode.
  public static let clusterPair = stork("ClusterPair", plural: "clusterpairs")
  /// One run that ships the volumes of some namespaces.
  public static let migration = stork("Migration", plural: "migrations")
}
