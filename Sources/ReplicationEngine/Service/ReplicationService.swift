public import ReplModel

/// What the control plane asks of the replication engine: verbs and reports, no storage and no wire types.
///
/// Every call may be made from any task; work that blocks runs on the engine's own threads. Errors are ``ReplError``.
public protocol ReplicationService: Sendable {
  /// Makes a new, empty, sparse image in a pool.
  func createVolume(_ request: CreateVolumeRequest) async throws(ReplError) -> VolumeReport
  /// Takes an existing file or block device into the agent; its bytes are not touched.
  func importVolume(_ request: ImportVolumeRequest) async throws(ReplError) -> VolumeReport
  /// Own volumes and those held as a target, ascending by namespace and name.
  func volumes() async throws(ReplError) -> [VolumeReport]
  /// Takes a volume out of the agent; with `data` deletes the live file too, refused while something holds it open.
  func deleteVolume(_ id: VolumeID, data: Bool) async throws(ReplError)

  /// A new pairing token in its one-line text form.
  func makePairingToken() async throws(ReplError) -> String
  /// Pairs with the agent that made the token, or proves again a pair that exists. Idempotent by `reference`.
  func pair(_ request: PairRequest) async throws(ReplError) -> PairReport
  /// One entry per ClusterPair reference, with the peer's liveness now.
  func pairs() async throws(ReplError) -> [PairReport]
  /// Ends a pair. Pins, keys and points stay for `pairRetention` unless `now`.
  func removePair(reference: ObjectReference, now: Bool) async throws(ReplError)

  /// Ends all trust in a cluster that has paired with this one, at once. Refused while a ClusterPair is with it.
  func revokePeer(_ cluster: String) async throws(ReplError)

  /// Starts the run of a Migration, or finds the run that was started under its uid before a restart. Idempotent.
  func startMigration(_ request: MigrationRequest) async throws(ReplError)
  /// Progress of a run; nil if the engine never heard of the uid.
  func migration(uid: String) async throws(ReplError) -> MigrationReport?
  /// Ends a run that is under way and throws away what it had staged; nothing sealed is touched.
  func cancelMigration(uid: String) async throws(ReplError)
  /// Whether a run that is under way or waiting has the volume.
  func isBusy(volume: VolumeID) async -> Bool

  /// Points of a volume, newest first, whether it is held as a target here or its twin is pinned here as a source.
  func recoveryPoints(namespace: String, name: String) async throws(ReplError) -> [RecoveryPointReport]
  /// Writes a writable clone of a point to `path` (same file system: a reflink, otherwise a sparse copy).
  func clonePoint(namespace: String, name: String, point: PointID?, to path: String) async throws(ReplError)
    -> RecoveryPointReport
  /// Reads the point and its twin and compares both with the seals; `quick` compares stored seals only.
  func verify(namespace: String, name: String, point: PointID?, quick: Bool) async throws(ReplError) -> VerifyReport
  /// Makes a point of a volume held for a peer the live file, at the path the report names; the volume's role becomes
  /// `promoted` and later sessions of it are refused. Idempotent for the same point.
  func promote(volume: VolumeID, from cluster: String, point: PointID) async throws(ReplError) -> VolumeReport
  /// Throws what ``promote(volume:from:point:)`` would refuse with as things are, and changes nothing.
  func checkPromotion(volume: VolumeID, from cluster: String, point: PointID) async throws(ReplError)

  /// Sends a document to the control plane of a pair's peer and returns its answer. A peer gets two at once, others wait.
  ///
  /// - Parameter limit: how long to wait for a turn, and then for each answer; nil: eleven minutes, within which a peer
  ///   that is well answers anything.
  func exchange(_ document: PeerDocument, pair: ObjectReference, limit: Duration?) async throws(ReplError) -> [UInt8]
  /// Says who answers the documents that peers send; nil: they are refused.
  func answerDocuments(with responder: (any PeerDocumentResponder)?)

  /// What the agent is doing, its pools and peers.
  func status() async throws(ReplError) -> AgentReport
  /// What happened, for events and logs; each subscriber gets all from now on, bounded to the newest 1,024.
  func events() -> AsyncStream<EngineEvent>
}

extension ReplicationService {
  /// As ``exchange(_:pair:limit:)`` with the peer's own time for an answer.
  public func exchange(_ document: PeerDocument, pair: ObjectReference) async throws(ReplError) -> [UInt8] {
    try await exchange(document, pair: pair, limit: nil)
  }
}

/// A document of one control plane for another. The engine carries it and knows nothing of its contents.
public struct PeerDocument: Hashable, Sendable {
  /// What the receiver is asked for, 1 to 64 bytes: `resources`, `schedule`.
  public var topic: String
  /// At most 8 MiB.
  public var body: [UInt8]
  public init(topic: String, body: [UInt8]) {
    self.topic = topic
    self.body = body
  }
}

/// Answers documents of peers.
public protocol PeerDocumentResponder: Sendable {
  /// The answer, at most 8 MiB. `cluster` is the peer that TLS has authenticated. Called from any task.
  func answer(_ document: PeerDocument, from cluster: String) async throws(ReplError) -> [UInt8]
}

/// A Kubernetes object by kind, namespace, name and uid.
public struct ObjectReference: Hashable, Sendable, Codable {
  public var kind: String
  public var namespace: String
  public var name: String
  public var uid: String
  public init(kind: String, namespace: String, name: String, uid: String) {
    self.kind = kind
    self.namespace = namespace
    self.name = name
    self.uid = uid
  }
}

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

/// `spec.options.mode` of a ClusterPair. Anything unknown means `default`, as the reference says.
public enum PairMode: String, Sendable, Codable {
  case `default` = "Default"
  case disasterRecovery = "DisasterRecovery"
  case oneTimeMigration = "OneTimeMigration"
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

public enum RunState: String, Sendable, Codable {
  case pending, running, succeeded, failed, cancelled
  public var isFinal: Bool { self == .succeeded || self == .failed || self == .cancelled }
}

/// One volume of a run. The Migration's status carries these fields.
public struct VolumeRunReport: Hashable, Sendable, Codable {
  public var volume: String
  public var namespace: String
  public var name: String
  public var state: RunState
  /// `snapshot`, `begin`, `plan`, `ship`, `seal`, `commit` or `done`.
  public var stage: String
  /// `reflink`, `digest`, `compare`, `full`.
  public var changeSource: String
  /// Why this session copies everything; empty when it does not.
  public var fullReason: String
  /// Bytes the plan covers.
  public var bytesTotal: UInt64
  /// Bytes of the plan worked off so far.
  public var bytesDone: UInt64
  /// Bytes that differ and were shipped, before compression.
  public var bytesChanged: UInt64
  /// Bytes sent on data streams.
  public var bytesOnWire: UInt64
  /// Seconds since the run of this volume began, or its duration.
  public var seconds: Double
  /// How long the snapshot stalled the volume's I/O, in milliseconds.
  public var stallMilliseconds: Double
  /// `full` or `delta` once sealed.
  public var proof: String
  /// The point made, once sealed.
  public var point: String
  /// Seconds to go at the present rate; nil when not known.
  public var etaSeconds: Double?
  /// Why it failed, or what it waits for.
  public var reason: String
  /// Whether the live volume itself is read until it is sealed, there being no snapshot; nil before that is known.
  public var readsLive: Bool?

  public init(volume: String, namespace: String, name: String) {
    self.volume = volume
    self.namespace = namespace
    self.name = name
    state = .pending
    stage = "snapshot"
    changeSource = ""
    fullReason = ""
    bytesTotal = 0
    bytesDone = 0
    bytesChanged = 0
    bytesOnWire = 0
    seconds = 0
    stallMilliseconds = 0
    proof = ""
    point = ""
    etaSeconds = nil
    reason = ""
  }
}

public struct MigrationReport: Hashable, Sendable, Codable {
  public var uid: String
  public var state: RunState
  /// Why it failed, or what it waits for.
  public var reason: String
  public var volumes: [VolumeRunReport]
  public init(uid: String, state: RunState, reason: String, volumes: [VolumeRunReport]) {
    self.uid = uid
    self.state = state
    self.reason = reason
    self.volumes = volumes
  }
}

/// One point; the field names are a contract (design section 12).
public struct RecoveryPointReport: Hashable, Sendable, Codable {
  public var id: String
  /// The volume it is a point of: one name may have stood for several, one after the other or of several sources.
  public var volumeID: String
  /// Cluster id of that volume's source; empty for a volume of this agent.
  public var sourceCluster: String
  public var generation: UInt64
  /// RFC 3339 in UTC, by the source's clock.
  public var takenAt: String
  /// RFC 3339 in UTC, by the target's clock.
  public var sealedAt: String
  public var sizeBytes: UInt64
  public var fingerprint: String
  public var group: String
  public var consistency: String
  public var proof: String
  /// When the point was last read whole and found equal to its seal.
  public var provenAt: String
  public var state: String
  public var path: String
  public init(
    id: String, volumeID: String, sourceCluster: String, generation: UInt64, takenAt: String, sealedAt: String,
    sizeBytes: UInt64, fingerprint: String, group: String, consistency: String, proof: String, provenAt: String,
    state: String, path: String
  ) {
    self.id = id
    self.volumeID = volumeID
    self.sourceCluster = sourceCluster
    self.generation = generation
    self.takenAt = takenAt
    self.sealedAt = sealedAt
    self.sizeBytes = sizeBytes
    self.fingerprint = fingerprint
    self.group = group
    self.consistency = consistency
    self.proof = proof
    self.provenAt = provenAt
    self.state = state
    self.path = path
  }
}

/// One side of a verification.
public struct VerifySide: Hashable, Sendable, Codable {
  /// `source` or `target`.
  public var side: String
  public var cluster: String
  /// Whether anything was read; false for a quick verify.
  public var read: Bool
  public var bytesRead: UInt64
  /// Fingerprint computed from what was read, or the stored one.
  public var fingerprint: String
  public var equal: Bool
  public var damagedSegments: [UInt64]
  /// Why this side was not looked at; empty when it was.
  public var reason: String
  public init(
    side: String, cluster: String, read: Bool, bytesRead: UInt64, fingerprint: String, equal: Bool,
    damagedSegments: [UInt64], reason: String
  ) {
    self.side = side
    self.cluster = cluster
    self.read = read
    self.bytesRead = bytesRead
    self.fingerprint = fingerprint
    self.equal = equal
    self.damagedSegments = damagedSegments
    self.reason = reason
  }
}

public struct VerifyReport: Hashable, Sendable, Codable {
  public var point: String
  public var sealFingerprint: String
  /// Whether every side that was looked at equals the seal, and at least one was.
  public var equal: Bool
  public var sides: [VerifySide]
  public init(point: String, sealFingerprint: String, equal: Bool, sides: [VerifySide]) {
    self.point = point
    self.sealFingerprint = sealFingerprint
    self.equal = equal
    self.sides = sides
  }
}

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
  public init(
    name: String, path: String, fileSystem: String, target: Bool, totalBytes: UInt64, availableBytes: UInt64,
    space: String
  ) {
    self.name = name
    self.path = path
    self.fileSystem = fileSystem
    self.target = target
    self.totalBytes = totalBytes
    self.availableBytes = availableBytes
    self.space = space
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
  public init(
    clusterID: String, node: String, version: String, pools: [PoolReport], pairs: [PairReport],
    peers: [PeerReport] = [], volumes: [VolumeReport], activeMigrations: Int
  ) {
    self.clusterID = clusterID
    self.node = node
    self.version = version
    self.pools = pools
    self.pairs = pairs
    self.peers = peers
    self.volumes = volumes
    self.activeMigrations = activeMigrations
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
