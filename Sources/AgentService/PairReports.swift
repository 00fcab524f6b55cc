public import ReplModel

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
  /// Whether the peer was asked since this agent started: until then nothing is known.
  public var wasAsked: Bool
  /// Peer's clock minus ours, in seconds, once measured.
  public var clockOffsetSeconds: Double?
  /// Seconds since it last answered; nil when it has not since this agent started.
  public var secondsSinceHeard: Double?
  public init(
    reference: ObjectReference, peerClusterID: String, host: String, port: UInt16, mode: PairMode, ready: Bool,
    reason: String, wasAsked: Bool = true, clockOffsetSeconds: Double?, secondsSinceHeard: Double? = nil
  ) {
    self.reference = reference
    self.peerClusterID = peerClusterID
    self.host = host
    self.port = port
    self.mode = mode
    self.ready = ready
    self.reason = reason
    self.wasAsked = wasAsked
    self.clockOffsetSeconds = clockOffsetSeconds
    self.secondsSinceHeard = secondsSinceHeard
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
  /// RFC 3339 in UTC; empty while there is no end in sight, ``ended`` when it is over.
  public var trustEndsAt: String
  /// Since it last answered or sent a heartbeat; nil when it never did, since this process began.
  public var secondsSinceHeard: Double?
  /// Its clock minus ours, in seconds, once known.
  public var clockOffsetSeconds: Double?
  /// In place of an instant: the cluster is trusted no more, and only its address and authority are remembered.
  public static let ended = "ended"
  public init(cluster: String, node: String, invited: Bool, pairs: [String], trustEndsAt: String) {
    self.cluster = cluster
    self.node = node
    self.invited = invited
    self.pairs = pairs
    self.trustEndsAt = trustEndsAt
  }
}

/// A pairing token without its secret.
public struct PairingTokenReport: Hashable, Sendable, Codable {
  /// Public name of the token: 32 hexadecimal digits.
  public var id: String
  /// RFC 3339 in UTC, as is ``expiresAt``.
  public var createdAt: String
  public var expiresAt: String
  /// The only cluster that may use it; empty: the first that proves it.
  public var boundCluster: String
  /// The cluster that has paired with it; empty while it is unused.
  public var usedBy: String
  public init(id: String, createdAt: String, expiresAt: String, boundCluster: String, usedBy: String) {
    self.id = id
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    self.boundCluster = boundCluster
    self.usedBy = usedBy
  }
}
