/// A session that a peer has open here: data of one of its volumes that comes in.
public struct InboundSession: Hashable, Sendable, Codable {
  public enum Stage: String, Hashable, Sendable, Codable {
    case begun, receiving, proving, repairing
    /// For the commit of its group, or for its source.
    case waiting
  }

  /// Cluster id of the source.
  public var cluster: String
  public var namespace: String
  public var volume: String
  public var stage: Stage
  /// Before compression; what came twice counts twice.
  public var bytesReceived: UInt64
  /// Bytes of the source's plan that are data; 0 until it is known.
  public var bytesPlanned: UInt64
  /// While it is proven: bytes read for it, and all that are to be.
  public var bytesProven: UInt64
  public var bytesToProve: UInt64
  /// Since it was begun.
  public var seconds: Double

  public init(
    cluster: String, namespace: String, volume: String, stage: Stage, bytesReceived: UInt64, bytesPlanned: UInt64,
    bytesProven: UInt64, bytesToProve: UInt64, seconds: Double
  ) {
    self.cluster = cluster
    self.namespace = namespace
    self.volume = volume
    self.stage = stage
    self.bytesReceived = bytesReceived
    self.bytesPlanned = bytesPlanned
    self.bytesProven = bytesProven
    self.bytesToProve = bytesToProve
    self.seconds = seconds
  }
}

/// A volume of a migration that is under way here.
public struct OutboundSession: Hashable, Sendable, Codable {
  /// The Migration's namespace and name.
  public var migration: String
  /// Cluster id of the target.
  public var cluster: String
  public var progress: VolumeRunReport

  public init(migration: String, cluster: String, progress: VolumeRunReport) {
    self.migration = migration
    self.cluster = cluster
    self.progress = progress
  }
}
