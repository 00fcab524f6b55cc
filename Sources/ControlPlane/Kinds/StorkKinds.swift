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
  /// A kind of the Stork group: Name and Age are all its table shows, as the real definitions have it.
  private static func stork(
    _ kind: String, plural: String, namespaced: Bool = true, shortNames: [String] = []
  ) -> ResourceKind {
    var resource = ResourceKind(
      group: Stork.group, version: Stork.version, kind: kind, plural: plural, namespaced: namespaced, custom: true)
    resource.shortNames = shortNames
    resource.columns = [.name, .age]
    return resource
  }

  /// Trust with a peer agent: address, token and mode.
  public static let clusterPair = stork("ClusterPair", plural: "clusterpairs")
  /// When scheduled work is due, for all namespaces.
  public static let schedulePolicy = stork("SchedulePolicy", plural: "schedulepolicies", namespaced: false)
  /// When scheduled work is due, within one namespace.
  public static let namespacedSchedulePolicy = stork("NamespacedSchedulePolicy", plural: "namespacedschedulepolicies")
  /// Migrations made by a policy.
  public static let migrationSchedule = stork("MigrationSchedule", plural: "migrationschedules")
  /// One run that ships the volumes and objects of some namespaces.
  public static let migration = stork("Migration", plural: "migrations")
  /// Which failure domains of a stretched cluster take part.
  public static let clusterDomainsStatus = stork(
    "ClusterDomainsStatus", plural: "clusterdomainsstatuses", namespaced: false, shortNames: ["cds"])
  /// A request to activate or deactivate a failure domain.
  public static let clusterDomainUpdate = stork(
    "ClusterDomainUpdate", plural: "clusterdomainupdates", namespaced: false, shortNames: ["cdu"])
  /// A failover or failback.
  public static let action = stork("Action", plural: "actions")
  /// Named hooks around the snapshots of a Migration.
  public static let rule = stork("Rule", plural: "rules")
}
