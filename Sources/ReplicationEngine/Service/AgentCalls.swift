public import AgentService
import BlockDiff
import GRDB
public import ReplModel
import WireProtocol
import Threads

extension ReplicationEngine: ReplicationService {
  // MARK: Volumes

  private var volumeService: SourceVolumes { SourceVolumes(context: core.source, kernel: LinuxStorage()) }

  public func createVolume(_ request: CreateVolumeRequest) async throws(ReplError) -> VolumeReport {
    try await calls.run(.volumes) { [self] () throws(ReplError) in
      try core.report(try volumeService.create(request))
    }
  }

  public func importVolume(_ request: ImportVolumeRequest) async throws(ReplError) -> VolumeReport {
    try await calls.run(.volumes) { [self] () throws(ReplError) in
      try core.report(try volumeService.import(request))
    }
  }

  public func volumes() async throws(ReplError) -> [VolumeReport] {
    try await calls.run(.volumes) { [self] () throws(ReplError) in try core.volumeReports() }
  }

  public func deleteVolume(_ id: VolumeID, data: Bool) async throws(ReplError) {
    try await calls.run(.volumes) { [self] () throws(ReplError) in
      guard !core.runs.isBusy(id) else {
        throw ReplError(
          .refused, subject: "volume \(id)", cause: "a migration works on it", remedy: "wait for it, or delete it first"
        )
      }
      try volumeService.delete(id, data: data)
    }
  }

  // MARK: Pairs

  public func makePairingToken(for cluster: String?) async throws(ReplError) -> String {
    try await calls.run(.pairs) { [self] () throws(ReplError) in try trust.makeToken(for: cluster) }
  }

  public func pairingTokens() async throws(ReplError) -> [PairingTokenReport] {
    try await calls.run(.pairs) { [self] () throws(ReplError) in try trust.tokens() }
  }

  public func deletePairingToken(_ id: String) async throws(ReplError) -> PairingTokenReport {
    try await calls.run(.pairs) { [self] () throws(ReplError) in try trust.deleteToken(id) }
  }

  public func pair(_ request: PairRequest) async throws(ReplError) -> PairReport {
    try await calls.run(.pairs) { [self] () throws(ReplError) in try pairService.pair(request) }
  }

  public func pairs() async throws(ReplError) -> [PairReport] {
    try await calls.run(.pairs) { [self] () throws(ReplError) in try pairService.all() }
  }

  public func removePair(reference: ObjectReference, now: Bool) async throws(ReplError) {
    try await calls.run(.pairs) { [self] () throws(ReplError) in try pairService.remove(reference, now: now) }
  }

  public func revokePeer(_ cluster: String) async throws(ReplError) {
    try await calls.run(.pairs) { [self] () throws(ReplError) in try pairService.revoke(cluster) }
  }

  // MARK: Migrations

  public func startMigration(_ request: MigrationRequest) async throws(ReplError) {
    try await calls.run(.migrations) { [self] () throws(ReplError) in try core.start(request) }
  }

  public func migration(uid: String) async throws(ReplError) -> MigrationReport? {
    if let live = core.runs.report(uid: uid) { return live }
    return try await calls.run(.migrations) { [self] () throws(ReplError) in
      try core.database.read { try RunRecord.find($0, uid: uid)?.report }
    }
  }

  public func cancelMigration(uid: String) async throws(ReplError) { core.runs.cancel(uid: uid) }

  public func isBusy(volume: VolumeID) async -> Bool { core.runs.isBusy(volume) }

  public func promote(
    _ group: [VolumePromotion], from cluster: String
  ) async throws(ReplError) -> [VolumeReport] {
    try await calls.run(.promotions) { [self] () throws(ReplError) in
      var wanted: [WantedPromotion] = []
      for entry in group {
        wanted.append(
          WantedPromotion(source: try SourceVolume(cluster: cluster, volume: entry.volume), point: entry.point))
      }
      try core.target.promote(wanted)
      var reports: [VolumeReport] = []
      for volume in group.map(\.volume) {
        guard
          let record = try core.database.read({ try Replica.find($0, cluster: cluster, volume: volume) })
        else { throw ReplError(.notFound, subject: "volume \(volume) of \(cluster)", cause: "is not held here") }
        reports.append(try core.report(record))
      }
      return reports
    }
  }

  public func checkPromotion(volume: VolumeID, from cluster: String, point: PointID) async throws(ReplError) {
    try await calls.run(.promotions) { [self] () throws(ReplError) in
      try core.target.checkPromotion(try SourceVolume(cluster: cluster, volume: volume), point: point)
    }
  }

  // MARK: Documents of control planes

  public func exchange(
    _ document: PeerDocument, pair: ObjectReference, limit: Duration?
  ) async throws(ReplError) -> [UInt8] {
    let peer = try await calls.run(.documents) { [self] () throws(ReplError) -> String in try self.peer(of: pair) }
    let patience = limit ?? .seconds(DocumentExchange.standardLimit)
    return try await core.documentGate.run(peer, limit: patience) { [self] () async throws(ReplError) -> [UInt8] in
      try await send(document, to: peer, limit: patience)
    }
  }

  private func send(_ document: PeerDocument, to peer: String, limit: Duration) async throws(ReplError) -> [UInt8] {
    try await calls.run(.documents) { [self] () throws(ReplError) in
      try DocumentExchange(link: try core.links.link(to: peer), limit: Double(limit.components.seconds)).run(document)
    }
  }

  private func peer(of pair: ObjectReference) throws(ReplError) -> String {
    let found = try core.database.read { try PairRecord.find($0, namespace: pair.namespace, name: pair.name) }
    if let found { return found.peer }
    throw ReplError(
      .refused, subject: "clusterpair \(pair.namespace)/\(pair.name)", cause: "is not paired",
      remedy: "replctl pair create")
  }

  public func answerDocuments(with responder: (any PeerDocumentResponder)?) { core.documents.answer(with: responder) }

  // MARK: Points

  public func recoveryPoints(namespace: String, name: String) async throws(ReplError) -> [RecoveryPointReport] {
    try await calls.run(.points) { [self] () throws(ReplError) in
      try PointCatalog(core: core).reports(namespace, name)
    }
  }

  public func clonePoint(
    namespace: String, name: String, point: PointID?, to path: String
  ) async throws(ReplError) -> RecoveryPointReport {
    try await calls.run(.contents) { [self] () throws(ReplError) in
      try PointCatalog(core: core).clone(namespace, name, point, to: path)
    }
  }

  public func verify(
    namespace: String, name: String, point: PointID?, quick: Bool
  ) async throws(ReplError) -> VerifyReport {
    try await calls.run(.contents) { [self] () throws(ReplError) in
      try PointCatalog(core: core).verify(namespace, name, point, quick: quick)
    }
  }

  // MARK: Status

  public func status() async throws(ReplError) -> AgentReport {
    try await calls.run(.status) { [self] () throws(ReplError) in
      let (pools, pairs, volumes) = (core.poolReports(), try pairService.all(), try core.volumeReports())
      let (outbound, peers) = (core.runs.outbound, try pairService.peers())
      return AgentReport(
        clusterID: core.configuration.clusterID, node: core.configuration.node, version: core.configuration.version,
        pools: pools,
        pairs: pairs, peers: peers, volumes: volumes, activeMigrations: core.runs.activeCount,
        outbound: outbound, inbound: core.target.inbound,
        health: HealthCheck.findings(pools: pools, pairs: pairs, volumes: volumes)
          + HealthCheck.findings(peers: peers) + HealthCheck.findings(outbound: outbound)
          + HealthCheck.findings(leftAlone: core.leftAlone))
    }
  }

  public func faults() -> [HealthFinding] {
    (core.pools.entries.map { StoragePlace.pool($0.name) } + [.stateDirectory]).compactMap { place in
      let fault = core.probes.fault(of: place)
      return fault.isEmpty ? nil : HealthFinding(subject: place.label, text: fault)
    }
  }

  public func events() -> AsyncStream<EngineEvent> { core.hub.subscribe() }
}
