public import ReplModel

public struct CreateVolumeRequest: Hashable, Sendable {
  public var namespace: String
  public var name: String
  /// Bytes, at least 1.
  public var size: UInt64
  /// nil: the first pool of the configuration.
  public var pool: String?
  public init(namespace: String, name: String, size: UInt64, pool: String?) {
    self.namespace = namespace
    self.name = name
    self.size = size
    self.pool = pool
  }
}

public struct ImportVolumeRequest: Hashable, Sendable {
  public var namespace: String
  public var name: String
  /// Absolute path of a regular file or block device under `allowedPaths`.
  public var path: String
  /// nil: the pool on the same file system, if there is one.
  public var pool: String?
  /// Whether points may be taken without evidence of stillness (`consistency: none`).
  public var allowFuzzy: Bool
  public init(namespace: String, name: String, path: String, pool: String?, allowFuzzy: Bool) {
    self.namespace = namespace
    self.name = name
    self.path = path
    self.pool = pool
    self.allowFuzzy = allowFuzzy
  }
}

public struct PairRequest: Hashable, Sendable {
  public var reference: ObjectReference
  /// Host name or address of the peer's control port.
  public var host: String
  public var port: UInt16
  public var token: String
  public var mode: PairMode
  public init(reference: ObjectReference, host: String, port: UInt16, token: String, mode: PairMode) {
    self.reference = reference
    self.host = host
    self.port = port
    self.token = token
    self.mode = mode
  }
}

/// A volume held for a peer that is to go live, and the point that becomes its live file.
public struct VolumePromotion: Hashable, Sendable {
  public var volume: VolumeID
  public var point: PointID
  public init(volume: VolumeID, point: PointID) {
    self.volume = volume
    self.point = point
  }
}

/// The volumes of one Migration: one group.
public struct MigrationRequest: Hashable, Sendable {
  public var reference: ObjectReference
  /// The ClusterPair of the same namespace.
  public var pair: ObjectReference
  /// Ascending, at least one.
  public var volumes: [VolumeID]
  /// Whether a volume that became smaller may be shipped at its new size.
  public var acceptShrink: Bool
  public init(reference: ObjectReference, pair: ObjectReference, volumes: [VolumeID], acceptShrink: Bool) {
    self.reference = reference
    self.pair = pair
    self.volumes = volumes
    self.acceptShrink = acceptShrink
  }
}
