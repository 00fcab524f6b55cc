import AgentService
import ReplModel
import ReplicationEngine
import Synchronization

/// An engine in memory: volumes without bytes, pairs that are what they are told to be, runs moved on by the test.
actor FakeService: ReplicationService {
  private(set) var held: [VolumeReport] = []
  private(set) var paired: [PairReport] = []
  private(set) var runs: [String: MigrationReport] = [:]
  private(set) var started: [MigrationRequest] = []
  private(set) var cancelled: [String] = []
  private(set) var removedPairs: [(name: String, now: Bool)] = []
  private(set) var deletions: [(id: String, data: Bool)] = []
  private(set) var pairCalls = 0
  private var pairError: ReplError?
  private var startError: ReplError?
  private var promoteError: ReplError?
  /// Runs end as soon as they are started.
  private var finishAtOnce = false
  private var afterListing: (@Sendable () async -> Void)?
  private var subscribers: [AsyncStream<EngineEvent>.Continuation] = []
  private var generator = SystemRandomNumberGenerator()

  static let token = "token-of-the-other-site-5f0c9"

  // How the test steers it.
  /// What happens between the next answer to `volumes` and whoever asked seeing it.
  func afterNextListing(_ action: @escaping @Sendable () async -> Void) { afterListing = action }
  func failPairing(_ error: ReplError?) { pairError = error }
  func failStarting(_ error: ReplError?) { startError = error }
  func finishRunsAtOnce() { finishAtOnce = true }
  func setFinishAtOnce(_ wanted: Bool) { finishAtOnce = wanted }
  /// As right after a start of the agent.
  func setNotContacted() {
    for index in paired.indices {
      paired[index].ready = false
      paired[index].reason = "not contacted yet"
      paired[index].wasAsked = false
      paired[index].clockOffsetSeconds = nil
    }
  }
  func setReady(_ ready: Bool, reason: String = "") {
    for index in paired.indices {
      paired[index].wasAsked = true
      paired[index].ready = ready
      paired[index].reason = reason
      paired[index].clockOffsetSeconds = 0
    }
  }
  func setRun(_ report: MigrationReport) { runs[report.uid] = report }
  func forgetRuns() { runs = [:] }
  func forgetVolumes() { held = [] }
  func hold(_ report: VolumeReport) { held.append(report) }
  func failPromoting(_ error: ReplError?) { promoteError = error }
  func emit(_ event: EngineEvent) { for subscriber in subscribers { subscriber.yield(event) } }
  func changeRun(_ uid: String, _ change: @Sendable (inout MigrationReport) -> Void) {
    if var run = runs[uid] {
      change(&run)
      runs[uid] = run
    }
  }

  // What the control plane calls.
  func createVolume(_ request: CreateVolumeRequest) async throws(ReplError) -> VolumeReport {
    try add(
      request.namespace, request.name, path: "/pool/volumes/\(request.namespace)/\(request.name).img", request.size)
  }

  func importVolume(_ request: ImportVolumeRequest) async throws(ReplError) -> VolumeReport {
    guard !request.path.hasPrefix("/missing") else {
      throw ReplError(.invalid, subject: "path \(request.path)", cause: "no such file", remedy: "check the path")
    }
    return try add(request.namespace, request.name, path: request.path, 1 << 20)
  }

  private func add(_ namespace: String, _ name: String, path: String, _ size: UInt64) throws(ReplError) -> VolumeReport
  {
    guard !held.contains(where: { $0.namespace == namespace && $0.name == name }) else {
      throw ReplError(.exists, subject: "volume \(namespace)/\(name)", cause: "exists already", remedy: "choose a name")
    }
    let report = VolumeReport(
      id: VolumeID.random(using: &generator).description, namespace: namespace, name: name, path: path,
      sizeBytes: size, role: .source, changeSource: "reflink", changeSourceReason: "", pool: "main", sourceCluster: "",
      lagSeconds: nil)
    held.append(report)
    return report
  }

  /// As if somebody had made the file of a volume larger.
  func grow(_ name: String, to bytes: UInt64) {
    for index in held.indices where held[index].name == name { held[index].sizeBytes = bytes }
  }

  func volumes() async throws(ReplError) -> [VolumeReport] {
    let answer = held
    let action = afterListing
    afterListing = nil
    await action?()
    return answer
  }

  func deleteVolume(_ id: VolumeID, data: Bool) async throws(ReplError) {
    guard let index = held.firstIndex(where: { $0.id == id.description }) else {
      throw ReplError(.notFound, subject: "volume \(id)", cause: "no such volume")
    }
    held.remove(at: index)
    deletions.append((id.description, data))
  }

  private(set) var revoked: [String] = []

  func revokePeer(_ cluster: String) async throws(ReplError) { revoked.append(cluster) }

  private var busy: Set<String> = []
  /// Says that another run has a volume.
  func setBusy(_ volume: String, _ isBusy: Bool) {
    if isBusy { busy.insert(volume) } else { busy.remove(volume) }
  }
  func isBusy(volume: VolumeID) async -> Bool { busy.contains(volume.description) }

  private var unpromotable: [String: ReplError] = [:]
  private var promoteErrors: [String: ReplError] = [:]
  /// What the check of a volume says before anything is done.
  func refusePromotion(of volume: String, _ error: ReplError?) { unpromotable[volume] = error }
  /// What comes up only when a volume is promoted.
  func failPromotion(of volume: String, _ error: ReplError?) { promoteErrors[volume] = error }

  func checkPromotion(volume: VolumeID, from cluster: String, point: PointID) async throws(ReplError) {
    if let error = unpromotable[volume.description] { throw error }
  }

  /// Promotions asked for, in order.
  private(set) var promotions: [(volume: String, cluster: String, point: String)] = []

  func promote(_ group: [VolumePromotion], from cluster: String) async throws(ReplError) -> [VolumeReport] {
    if let error = promoteError { throw error }
    var reports: [VolumeReport] = []
    for wanted in group {
      if let error = promoteErrors[wanted.volume.description] {
        throw ReplError(reports.isEmpty ? error.kind : .transient, subject: error.subject, cause: error.cause)
      }
      promotions.append((wanted.volume.description, cluster, wanted.point.description))
      guard let index = held.firstIndex(where: { $0.id == wanted.volume.description }) else {
        throw ReplError(.notFound, subject: "volume \(wanted.volume)", cause: "no such volume")
      }
      held[index].role = .promoted
      reports.append(held[index])
    }
    return reports
  }

  /// The control plane at the other end of every pair, and the cluster it sees as the sender.
  nonisolated let peer = Mutex<(responder: any PeerDocumentResponder, asCluster: String)?>(nil)
  /// What this control plane answers peers with.
  nonisolated let responder = Mutex<(any PeerDocumentResponder)?>(nil)

  /// How long the control plane was ready to wait for answers, by topic.
  nonisolated let limits = Mutex<[String: Duration]>([:])

  func exchange(
    _ document: PeerDocument, pair: ObjectReference, limit: Duration?
  ) async throws(ReplError) -> [UInt8] {
    limits.withLock { $0[document.topic] = limit }
    guard let (responder, cluster) = peer.withLock({ $0 }) else {
      throw ReplError(.transient, subject: "pair \(pair.name)", cause: "the peer does not answer")
    }
    return try await responder.answer(document, from: cluster)
  }

  nonisolated func answerDocuments(with responder: (any PeerDocumentResponder)?) {
    self.responder.withLock { $0 = responder }
  }

  func makePairingToken(for cluster: String?) async throws(ReplError) -> String { Self.token }
  func pairingTokens() async throws(ReplError) -> [PairingTokenReport] { [Self.tokenReport] }
  func deletePairingToken(_ id: String) async throws(ReplError) -> PairingTokenReport {
    guard Self.tokenReport.id.hasPrefix(id) else { throw ReplError(.notFound, subject: id, cause: "no such token") }
    return Self.tokenReport
  }
  static let tokenReport = PairingTokenReport(
    id: "ab12", createdAt: "2024-01-01T00:00:00Z", expiresAt: "2024-01-02T00:00:00Z", boundCluster: "west", usedBy: "")

  func pair(_ request: PairRequest) async throws(ReplError) -> PairReport {
    pairCalls += 1
    if let pairError { throw pairError }
    let report = PairReport(
      reference: request.reference, peerClusterID: "site-b", host: request.host, port: request.port,
      mode: request.mode, ready: true, reason: "", clockOffsetSeconds: 0)
    paired.removeAll { $0.reference.uid == request.reference.uid }
    paired.append(report)
    return report
  }

  func pairs() async throws(ReplError) -> [PairReport] { paired }

  func removePair(reference: ObjectReference, now: Bool) async throws(ReplError) {
    paired.removeAll { $0.reference.uid == reference.uid }
    removedPairs.append((reference.name, now))
  }

  func startMigration(_ request: MigrationRequest) async throws(ReplError) {
    if let startError { throw startError }
    started.append(request)
    guard runs[request.reference.uid] == nil else { return }
    let volumes = request.volumes.map { id in
      let report = held.first { $0.id == id.description }
      var run = VolumeRunReport(
        volume: id.description, namespace: report?.namespace ?? "", name: report?.name ?? "")
      run.state = finishAtOnce ? .succeeded : .running
      run.stage = finishAtOnce ? .done : .ship
      run.changeSource = "full"
      run.fullReason = "first copy"
      run.bytesTotal = 1_000
      run.bytesDone = finishAtOnce ? 1_000 : 0
      run.proof = finishAtOnce ? "full" : ""
      return run
    }
    runs[request.reference.uid] = MigrationReport(
      uid: request.reference.uid, state: finishAtOnce ? .succeeded : .running, reason: "", volumes: volumes)
  }

  func migration(uid: String) async throws(ReplError) -> MigrationReport? { runs[uid] }

  func cancelMigration(uid: String) async throws(ReplError) {
    cancelled.append(uid)
    runs[uid]?.state = .cancelled
  }

  /// Questions for recovery points, as `namespace/name`.
  private(set) var pointQuestions: [String] = []
  private var extraPoints: [RecoveryPointReport] = []
  func addPoint(_ point: RecoveryPointReport) { extraPoints.append(point) }

  func recoveryPoints(namespace: String, name: String) async throws(ReplError) -> [RecoveryPointReport] {
    pointQuestions.append("\(namespace)/\(name)")
    guard held.contains(where: { $0.namespace == namespace && $0.name == name }) else {
      throw ReplError(.notFound, subject: "volume \(namespace)/\(name)", cause: "no such volume")
    }
    return [Self.point] + extraPoints
  }

  static let point = RecoveryPointReport(
    id: "0123456789abcdef0123456789abcdef", volumeID: "00000000000000000000000000000001", sourceCluster: "site-a",
    generation: 7, takenAt: "2026-01-02T03:04:05Z", sealedAt: "2026-01-02T03:04:09Z", sizeBytes: 1 << 20,
    fingerprint: "ff", group: "g", consistency: "volume", proof: "delta", provenAt: "", state: "sealed",
    path: "/pool/points/p")

  func clonePoint(namespace: String, name: String, point: PointID?, to path: String) async throws(ReplError)
    -> RecoveryPointReport
  {
    var report = Self.point
    report.path = path
    return report
  }

  func verify(namespace: String, name: String, point: PointID?, quick: Bool) async throws(ReplError) -> VerifyReport {
    let equal = name != "damaged"
    return VerifyReport(
      point: Self.point.id, sealFingerprint: "ff", equal: equal,
      sides: [
        VerifySide(
          side: "target", cluster: "site-b", read: !quick, bytesRead: quick ? 0 : 1 << 20, fingerprint: "ff",
          equal: equal, damagedSegments: equal ? [] : [3], reason: "")
      ])
  }

  func status() async throws(ReplError) -> AgentReport {
    AgentReport(
      clusterID: "site-a", node: "n1", version: "test",
      pools: [
        PoolReport(
          name: "main", path: "/pool", fileSystem: "xfs", target: true, totalBytes: 1 << 40, availableBytes: 1 << 39,
          space: "ok")
      ], pairs: paired, volumes: held, activeMigrations: runs.values.filter { !$0.state.isFinal }.count)
  }

  private var brokenBy: [HealthFinding] = []
  func fail(with faults: [HealthFinding]) { brokenBy = faults }
  func faults() async -> [HealthFinding] { brokenBy }

  nonisolated func events() -> AsyncStream<EngineEvent> {
    let (stream, continuation) = AsyncStream.makeStream(of: EngineEvent.self)
    Task { await subscribe(continuation) }
    return stream
  }

  private func subscribe(_ continuation: AsyncStream<EngineEvent>.Continuation) { subscribers.append(continuation) }
  var subscriberCount: Int { subscribers.count }
}
