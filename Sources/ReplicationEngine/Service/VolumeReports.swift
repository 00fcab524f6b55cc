public enum VolumeRole: String, Sendable, Codable {
  case source, target, promoted, demoted
}

/// A volume as people and programs see it. `replctl volume … -o json` prints these fields by these names.
public struct VolumeReport: Hashable, Sendable, Codable {
  public var id: String
  public var namespace: String
  public var name: String
  /// The live file or device; for a target the path it will have when promoted, or empty.
  public var path: String
  public var sizeBytes: UInt64
  public var role: VolumeRole
  /// `reflink` or `digest`; empty for a target.
  public var changeSource: String
  /// Why not a better one; empty when there is none.
  public var changeSourceReason: String
  public var pool: String
  /// Cluster id of the source, for a target.
  public var sourceCluster: String
  /// Seconds since the newest sealed point was taken; nil before the first.
  public var lagSeconds: Double?
  public init(
    id: String, namespace: String, name: String, path: String, sizeBytes: UInt64, role: VolumeRole,
    changeSource: String, changeSourceReason: String, pool: String, sourceCluster: String, lagSeconds: Double?
  ) {
    self.id = id
    self.namespace = namespace
    self.name = name
    self.path = path
    self.sizeBytes = sizeBytes
    self.role = role
    self.changeSource = changeSource
    self.changeSourceReason = changeSourceReason
    self.pool = pool
    self.sourceCluster = sourceCluster
    self.lagSeconds = lagSeconds
  }
}
