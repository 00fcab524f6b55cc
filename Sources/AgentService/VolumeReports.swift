public import ReplModel

/// How the copy of a volume at one cluster stands.
public struct VolumeTarget: Hashable, Sendable, Codable {
  public var cluster: String
  /// Seconds since the newest point sealed there was taken; nil before the first.
  public var lagSeconds: Double?
  /// Why the lag is not known though there is a point; empty otherwise.
  public var lagReason: String
  /// Migrations to it that failed since the last one that did not.
  public var failedRuns: Int
  /// Why the last of them failed; empty when none did.
  public var lastFailure: String

  public init(
    cluster: String, lagSeconds: Double?, lagReason: String = "", failedRuns: Int = 0, lastFailure: String = ""
  ) {
    self.cluster = cluster
    self.lagSeconds = lagSeconds
    self.lagReason = lagReason
    self.failedRuns = failedRuns
    self.lastFailure = lastFailure
  }
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
  /// Seconds since the newest sealed point was taken, of the target that is furthest behind; nil before the first.
  public var lagSeconds: Double?
  /// Why the lag is not known though there is a point; empty otherwise.
  public var lagReason: String
  /// For a source: the clusters it is replicated to, ascending.
  public var targets: [VolumeTarget]
  /// For a target: points that are not to be relied on until they are read.
  public var suspectPoints: Int
  public init(
    id: String, namespace: String, name: String, path: String, sizeBytes: UInt64, role: VolumeRole,
    changeSource: String, changeSourceReason: String, pool: String, sourceCluster: String, lagSeconds: Double?,
    lagReason: String = "", targets: [VolumeTarget] = [], suspectPoints: Int = 0
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
    self.lagReason = lagReason
    self.targets = targets
    self.suspectPoints = suspectPoints
  }
}
