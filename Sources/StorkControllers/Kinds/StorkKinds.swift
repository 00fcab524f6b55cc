import ReplModel
import APIModel
public import KubeModel
import AgentService

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
    _ kind: String, plural: String, namespaced: Bool = true, shortNames: [String] = [], _ description: String,
    _ fields: [Schema.Field]
  ) -> ResourceKind {
    var resource = ResourceKind(
      group: Stork.group, version: Stork.version, kind: kind, plural: plural, namespaced: namespaced, custom: true)
    resource.description = description
    resource.fields = fields
    resource.shortNames = shortNames
    resource.columns = [.name, .age]
    return resource
  }

  /// Trust with a peer agent: address, token and mode.
  public static let clusterPair: ResourceKind = {
    var kind = stork(
      "ClusterPair", plural: "clusterpairs", "Trust with a peer: where it is, how it was paired and how it stands.",
      Schema.clusterPair)
    kind.reveal = { document, stored in SecretMask.reveal(document, from: stored) }
    kind.validate = { object, old in
      var causes: [StatusError.Cause] = []
      let word = object.json[at: "spec.options.mode"]?.text ?? ""
      if PairMode(option: word) == nil, word != old?.json[at: "spec.options.mode"]?.text {
        causes.append(
          StatusError.Cause(
            reason: "FieldValueNotSupported",
            message: "Unsupported value: \(JSONValue.string(String(word.prefix(64))).compactText): supported values: "
              + "\"Default\", \"DisasterRecovery\", \"OneTimeMigration\"", field: "spec.options.mode"))
      }
      // One that was stored so by an older version stays writable.
      guard SecretMask.isMasked(object.json), !(old.map { SecretMask.isMasked($0.json) } ?? false) else {
        return causes
      }
      return causes + [
        StatusError.Cause(
          reason: "FieldValueInvalid",
          message:
            "Invalid value: \"\(SecretMask.text)\": stands in output for a token that is not shown, and no token is "
            + "stored here; make one at the peer with `replctl pair token` and put it here",
          field: SecretMask.token.joined(separator: "."))
      ]
    }
    return kind
  }()
  /// When scheduled work is due, for all namespaces.
  public static let schedulePolicy = policy(
    "SchedulePolicy", plural: "schedulepolicies", namespaced: false,
    "When scheduled work is due, for all namespaces.")
  /// When scheduled work is due, within one namespace.
  public static let namespacedSchedulePolicy = policy(
    "NamespacedSchedulePolicy", plural: "namespacedschedulepolicies", namespaced: true,
    "When scheduled work is due, within one namespace.")

  private static func policy(_ kind: String, plural: String, namespaced: Bool, _ description: String) -> ResourceKind {
    var policy = stork(kind, plural: plural, namespaced: namespaced, description, Schema.schedulePolicy)
    policy.validate = { object, old in
      let before = old.map(SchedulePolicy.misplaced) ?? []
      return SchedulePolicy.misplaced(object).filter { !before.contains($0) }
    }
    return policy
  }
  /// Migrations made by a policy.
  public static let migrationSchedule = stork(
    "MigrationSchedule", plural: "migrationschedules", "Makes Migrations whenever its policy says so.",
    Schema.migrationSchedule)
  /// One run that ships the volumes and objects of some namespaces.
  public static let migration = stork(
    "Migration", plural: "migrations", "One run that ships the volumes and objects of some namespaces to a peer.",
    Schema.migration)
  /// Which failure domains of a stretched cluster take part.
  public static let clusterDomainsStatus = stork(
    "ClusterDomainsStatus", plural: "clusterdomainsstatuses", namespaced: false, shortNames: ["cds"],
    "Which failure domains of a stretched cluster take part.", Schema.clusterDomainsStatus)
  /// A request to activate or deactivate a failure domain.
  public static let clusterDomainUpdate = stork(
    "ClusterDomainUpdate", plural: "clusterdomainupdates", namespaced: false, shortNames: ["cdu"],
    "A request to activate or deactivate a failure domain.", Schema.clusterDomainUpdate)
  /// A failover or failback.
  public static let action = stork("Action", plural: "actions", "A failover or failback.", Schema.action)
  /// An object store, which the Stork clients make beside a pair. Kept, and used for nothing: agents speak to each other.
  public static let backupLocation = stork(
    "BackupLocation", plural: "backuplocations",
    "An object store. Kept for the clients that make one with every pair; this agent does not use it.",
    Schema.backupLocation)
  /// Named hooks around the snapshots of a Migration.
  public static let rule = stork(
    "Rule", plural: "rules", "Named hooks that run around the snapshots of a Migration.", Schema.rule)

  /// Kinds of which there are none here. Whoever deletes a policy or sets replicas through the Stork clients lists them
  /// first, and gives up where they are unknown.
  static let absentStork: [ResourceKind] = [
    absent(
      "ApplicationRegistration", plural: "applicationregistrations", namespaced: false,
      "How objects of a custom kind are paused. There are none here: such kinds are not served."),
    absent(
      "ApplicationBackupSchedule", plural: "applicationbackupschedules",
      "Backups made by a policy. There are none here: this agent replicates."),
    absent(
      "VolumeSnapshotSchedule", plural: "volumesnapshotschedules",
      "Snapshots made by a policy. There are none here: this agent replicates."),
  ]

  private static func absent(_ kind: String, plural: String, namespaced: Bool = true, _ description: String)
    -> ResourceKind
  {
    var resource = stork(kind, plural: plural, namespaced: namespaced, description, [])
    resource.verbs = readOnly
    return resource
  }
}
