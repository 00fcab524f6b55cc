public struct PoolReport: Hashable, Sendable, Codable {
  public var name: String
  public var path: String
  public var fileSystem: String
  /// Whether recovery points can be kept here.
  public var target: Bool
  public var totalBytes: UInt64
  public var availableBytes: UInt64
  /// `ok`, `low` or `floor`.
  public var space: String
  /// Why the pool cannot be worked with; empty when it can.
  public var fault: String
  public init(
    name: String, path: String, fileSystem: String, target: Bool, totalBytes: UInt64, availableBytes: UInt64,
    space: String, fault: String = ""
  ) {
    self.name = name
    self.path = path
    self.fileSystem = fileSystem
    self.target = target
    self.totalBytes = totalBytes
    self.availableBytes = availableBytes
    self.space = space
    self.fault = fault
  }
}

public struct AgentReport: Hashable, Sendable, Codable {
  public var clusterID: String
  public var node: String
  public var version: String
  public var pools: [PoolReport]
  public var pairs: [PairReport]
  /// Clusters trusted here, also those without a ClusterPair on this side.
  public var peers: [PeerReport]
  public var volumes: [VolumeReport]
  /// Runs that are not final.
  public var activeMigrations: Int
  /// Volumes that are being shipped.
  public var outbound: [OutboundSession]
  /// Volumes of peers of which data comes in.
  public var inbound: [InboundSession]
  /// What is wrong, most urgent first; empty when nothing is.
  public var health: [HealthFinding]
  public init(
    clusterID: String, node: String, version: String, pools: [PoolReport], pairs: [PairReport],
    peers: [PeerReport] = [], volumes: [VolumeReport], activeMigrations: Int, outbound: [OutboundSession] = [],
    inbound: [InboundSession] = [], health: [HealthFinding] = []
  ) {
    self.clusterID = clusterID
    self.node = node
    self.version = version
    self.pools = pools
    self.pairs = pairs
    self.peers = peers
    self.volumes = volumes
    self.activeMigrations = activeMigrations
    self.outbound = outbound
    self.inbound = inbound
    self.health = health
  }
}

/// Something that happened to an object; becomes a Kubernetes Event and a log line.
public struct EngineEvent: Hashable, Sendable {
  public var object: ObjectReference
  public var warning: Bool
  public var reason: String
  public var message: String
  public init(object: ObjectReference, warning: Bool, reason: String, message: String) {
    self.object = object
    self.warning = warning
    self.reason = reason
    self.message = message
  }
}
