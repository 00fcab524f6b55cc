public import AgentService
import BlockDiff
import GRDB
public import ReplModel
import WireProtocol
import Threads

extension ReplicationEngine: ReplicationService {
  // MARK: Volumes

  private var volumeService: SourceVolumes { SourceVolumes(context: source, kernel: LinuxStorage()) }

  public func createVolume(_ request: CreateVolumeRequest) async throws(ReplError) -> VolumeReport {
    try await runOnThread("volume") { [self] () throws(ReplError) in
      try report(try volumeService.create(request))
    }
  }

  public func importVolume(_ request: ImportVolumeRequest) async throws(ReplError) -> VolumeReport {
    try await runOnThread("volume") { [self] () throws(ReplError) in
      try report(try volumeService.import(request))
    }
  }

  public func volumes() async throws(ReplError) -> [VolumeReport] {
    try await runOnThread("volume") { [self] () throws(ReplError) in try volumeReports() }
  }

  public func deleteVolume(_ id: VolumeID, data: Bool) async throws(ReplError) {
    try await runOnThread("volume") { [self] () throws(ReplError) in
      guard !runs.isBusy(id) else {
        throw ReplError(
          .refused, subject: "volume \(id)", cause: "a migration works on it", remedy: "wait for it, or delete it first"
        )
      }
      try volumeService.delete(id, data: data)
    }
  }

  // MARK: Pairs

  public func makePairingToken(for cluster: String?) async throws(ReplError) -> String {
    try await runOnThread("pairing") { [self] () throws(ReplError) in try trust.makeToken(for: cluster) }
  }

  public func pairingTokens() async throws(ReplError) -> [PairingTokenReport] {
    try await runOnThread("pairing") { [self] () throws(ReplError) in try trust.tokens() }
  }

  public func deletePairingToken(_ id: String) async throws(ReplError) -> PairingTokenReport {
    try await runOnThread("pairing") { [self] () throws(ReplError) in try trust.deleteToken(id) }
  }

  public func pair(_ request: PairRequest) async throws(ReplError) -> PairReport {
    try await runOnThread("pairing") { [self] () throws(ReplError) in try pairService.pair(request) }
  }

  public func pairs() async throws(ReplError) -> [PairReport] {
    try await runOnThread("pairing") { [self] () throws(ReplError) in try pairService.all() }
  }

  public func removePair(reference: ObjectReference, now: Bool) async throws(ReplError) {
    try await runOnThread("pairing") { [self] () throws(ReplError) in try pairService.remove(reference, now: now) }
  }

  public func revokePeer(_ cluster: String) async throws(ReplError) {
    try await runOnThread("pairing") { [self] () throws(ReplError) in try pairService.revoke(cluster) }
  }

  // MARK: Migrations

  public func startMigration(_ request: MigrationRequest) async throws(ReplError) {
    try await runOnThread("migration") { [self] () throws(ReplError) in try start(request) }
  }

  public func migration(uid: String) async throws(ReplError) -> MigrationReport? {
    if let live = runs.report(uid: uid) { return live }
    return try await runOnThread("migration") { [self] () throws(ReplError) in
      try database.read { try RunRecord.find($0, uid: uid)?.report }
    }
  }

  public func cancelMigration(uid: String) async throws(ReplError) { runs.cancel(uid: uid) }

  public func isBusy(volume: VolumeID) async -> Bool { runs.isBusy(volume) }

  public func promote(
    _ group: [VolumePromotion], from cluster: String
  ) async throws(ReplError) -> [VolumeReport] {
    try await runOnThread("promotion") { [self] () throws(ReplError) in
      var wanted: [WantedPromotion] = []
      for entry in group {
        wanted.append(
          WantedPromotion(source: try SourceVolume(cluster: cluster, volume: entry.volume), point: entry.point))
      }
      try target.promote(wanted)
      var reports: [VolumeReport] = []
      for volume in group.map(\.volume) {
        guard
          let record = try database.read({ try Replica.find($0, cluster: cluster, volume: volume) })
        else { throw ReplError(.notFound, subject: "volume \(volume) of \(cluster)", cause: "is not held here") }
        reports.append(try report(record))
      }
      return reports
    }
  }

  public func checkPromotion(volume: VolumeID, from cluster: String, point: PointID) async throws(ReplError) {
    try await runOnThread("promotion") { [self] () throws(ReplError) in
      try target.checkPromotion(try SourceVolume(cluster: cluster, volume: volume), point: point)
    }
  }

  // MARK: Documents of control planes

  public func exchange(
    _ document: PeerDocument, pair: ObjectReference, limit: Duration?
  ) async throws(ReplError) -> [UInt8] {
    let peer = try await runOnThread("document") { [self] () throws(ReplError) -> String in try self.peer(of: pair) }
    let patience = limit ?? .seconds(DocumentExchange.standardLimit)
    return try await documentGate.run(peer, limit: patience) { [self] () async throws(ReplError) -> [UInt8] in
      try await send(document, to: peer, limit: patience)
    }
  }

  private func send(_ document: PeerDocument, to peer: String, limit: Duration) async throws(ReplError) -> [UInt8] {
    try await runOnThread("document") { [self] () throws(ReplError) in
      try DocumentExchange(link: try links.link(to: peer), limit: Double(limit.components.seconds)).run(document)
    }
  }

  private func peer(of pair: ObjectReference) throws(ReplError) -> String {
    let found = try database.read { try PairRecord.find($0, namespace: pair.namespace, name: pair.name) }
    if let found { return found.peer }
    throw ReplError(
      .refused, subject: "clusterpair \(pair.namespace)/\(pair.name)", cause: "is not paired",
      remedy: "replctl pair create")
  }

  public func answerDocuments(with responder: (any PeerDocumentResponder)?) { documents.answer(with: responder) }

  private func start(_ request: MigrationRequest) throws(ReplError) {
    if let known = try database.read({ try RunRecord.find($0, uid: request.reference.uid) }) {
      if !known.state.isFinal { runs.submit(known) }
      return
    }
    guard
      let pair = try database.read({
        try PairRecord.find($0, namespace: request.pair.namespace, name: request.pair.name)
      })
    else {
      throw ReplError(
        .refused, subject: "clusterpair \(request.pair.namespace)/\(request.pair.name)", cause: "is not paired",
        remedy: "replctl pair create")
    }
    let record = try makeRecord(request, pair)
    try database.write { try record.save($0) }
    runs.submit(record)
  }

  private func makeRecord(_ request: MigrationRequest, _ pair: PairRecord) throws(ReplError) -> RunRecord {
    let ids = Array(Set(request.volumes)).sorted()
    guard !ids.isEmpty, ids.count <= Seal.memberLimit else {
      throw ReplError(
        .invalid, subject: "migration", cause: "has \(ids.count) volumes, 1 to \(Seal.memberLimit) may be")
    }
    var reports: [VolumeRunReport] = []
    var generations: [UInt64] = []
    for id in ids {
      guard let volume = try database.read({ try VolumeRecord.find($0, id) }) else {
        throw ReplError(.notFound, subject: "volume \(id)", cause: "is not a volume of this agent")
      }
      reports.append(VolumeRunReport(volume: id.description, namespace: volume.namespace, name: volume.name))
      generations.append(volume.nextGeneration)
    }
    let stored = StoredRunRequest(
      reference: request.reference, pair: pair.reference, volumes: ids, generations: generations,
      acceptShrink: request.acceptShrink, mode: pair.mode)
    return RunRecord(
      request: stored, peer: pair.peer, group: .random(), state: .running,
      report: MigrationReport(uid: request.reference.uid, state: .running, reason: "", volumes: reports),
      createdAt: clock.now())
  }

  // MARK: Points

  public func recoveryPoints(namespace: String, name: String) async throws(ReplError) -> [RecoveryPointReport] {
    try await runOnThread("points") { [self] () throws(ReplError) in
      try PointCatalog(engine: self).reports(namespace, name)
    }
  }

  public func clonePoint(
    namespace: String, name: String, point: PointID?, to path: String
  ) async throws(ReplError) -> RecoveryPointReport {
    try await runOnThread("clone") { [self] () throws(ReplError) in
      try PointCatalog(engine: self).clone(namespace, name, point, to: path)
    }
  }

  public func verify(
    namespace: String, name: String, point: PointID?, quick: Bool
  ) async throws(ReplError) -> VerifyReport {
    try await runOnThread("verify") { [self] () throws(ReplError) in
      try PointCatalog(engine: self).verify(namespace, name, point, quick: quick)
    }
  }

  // MARK: Status

  public func status() async throws(ReplError) -> AgentReport {
    try await runOnThread("status") { [self] () throws(ReplError) in
      let (pools, pairs, volumes) = (try poolReports(), try pairService.all(), try volumeReports())
      let (outbound, peers) = (runs.outbound, try pairService.peers())
      return AgentReport(
        clusterID: configuration.clusterID, node: configuration.node, version: configuration.version, pools: pools,
        pairs: pairs, peers: peers, volumes: volumes, activeMigrations: runs.activeCount,
        outbound: outbound, inbound: target.inbound,
        health: HealthCheck.findings(pools: pools, pairs: pairs, volumes: volumes)
          + HealthCheck.findings(peers: peers) + HealthCheck.findings(outbound: outbound)
          + HealthCheck.findings(leftAlone: leftAlone))
    }
  }

  public func faults() -> [HealthFinding] {
    pools.entries.compactMap { entry in
      let fault = probes.fault(of: entry.name)
      return fault.isEmpty ? nil : HealthFinding(subject: "pool \(entry.name)", text: fault)
    }
  }

  public func events() -> AsyncStream<EngineEvent> { hub.subscribe() }
}
