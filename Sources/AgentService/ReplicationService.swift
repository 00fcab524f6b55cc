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
  ///
  /// - Parameter cluster: the only cluster that may use it; nil: the first that proves it.
  func makePairingToken(for cluster: String?) async throws(ReplError) -> String
  /// Tokens that are good, oldest first.
  func pairingTokens() async throws(ReplError) -> [PairingTokenReport]
  /// Withdraws a token, named by its id or an unambiguous beginning of it. Who has paired with it stays trusted.
  func deletePairingToken(_ id: String) async throws(ReplError) -> PairingTokenReport
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
  /// Makes points of volumes held for a peer the live files, at the paths the reports name, all or none; the role of the
  /// volumes becomes `promoted` and later sessions of them are refused. Idempotent for the same points.
  ///
  /// - Returns: a report of each, in the same order.
  /// - Throws: `.transient` when some are live and the engine goes on with the others by itself, or all is to be tried
  ///   again; anything else: none is live.
  func promote(_ group: [VolumePromotion], from cluster: String) async throws(ReplError) -> [VolumeReport]
  /// Throws what ``promote(_:from:)`` would refuse with as things are, and changes nothing.
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
  /// What keeps the agent from its work at this moment; empty when nothing does. Never blocks.
  func faults() async -> [HealthFinding]
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
