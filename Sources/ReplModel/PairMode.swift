/// How a pair replicates: `spec.options.mode` of a ClusterPair.
public enum PairMode: String, Hashable, Sendable, Codable {
  /// Every seventh migration of a volume is full.
  case `default` = "Default"
  /// Full once, incremental from then on.
  case disasterRecovery = "DisasterRecovery"
  /// Each migration is full.
  case oneTimeMigration = "OneTimeMigration"
}
