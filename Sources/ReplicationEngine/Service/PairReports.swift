public struct PairReport: Hashable, Sendable, Codable {
  public var reference: ObjectReference
  /// Cluster id of the peer: `status.remoteStorageId`.
  public var peerClusterID: String
  public var host: String
  public var port: UInt16
  public var mode: PairMode
  /// Whether the peer answered its last heartbeat.
  public var ready: Bool
  /// Why not ready; empty when ready.
  public var reason: String
  /// Peer's clock minus ours, in seconds, once measured.
  public var clockOffsetSeconds: Double?
  public init(
    reference: ObjectReference, peerClusterID: String, host: String, port: UInt16, mode: PairMode, ready: Bool,
    reason: String, clockOffsetSeconds: Double?
  ) {
    self.reference = reference
    self.peerClusterID = peerClusterID
    self.host = host
    self.port = port
    self.mode = mode
    self.ready = ready
    self.reason = reason
    self.clockOffsetSeconds = clockOffsetSeconds
  }
}

/// A cluster whose authority is pinned here.
public struct PeerReport: Hashable, Sendable, Codable {
  public var cluster: String
  public var node: String
  /// It has proved a token of this agent: it may be a source of volumes held here.
  public var invited: Bool
  /// ClusterPairs of this side with it, as `namespace/name`.
  public var pairs: [String]
  /// RFC 3339 in UTC; empty while there is no end in sight.
  public var trustEndsAt: String
  public init(cluster: String, node: String, invited: Bool, pairs: [String], trustEndsAt: String) {
    self.cluster = cluster
    self.node = node
    self.invited = invited
    self.pairs = pairs
    self.trustEndsAt = trustEndsAt
  }
}
