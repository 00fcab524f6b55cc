import BlockDiff
import ReplModel
import WireProtocol

/// Ships damaged segments of sealed points again, from their twins here. Blocks; call on a thread that may wait.
struct RepairRun: Sendable {
  let context: SourceContext
  let link: any PeerLink

  /// Repairs every point of the peer whose twin is at hand. What fails in passing is left for the next heartbeat; what
  /// fails the same way three times is left alone and told.
  func run() {
    guard context.repairFailures.begin(link.cluster) else { return }
    defer { context.repairFailures.end(link.cluster) }
    let volumes = (try? context.database.read { try VolumeRecord.all($0) }) ?? []
    for volume in volumes where !context.activity.isBusy(volume.id) {
      let twins = (try? twins(of: volume)) ?? []
      guard !twins.isEmpty else { continue }
      // Without an answer there is nothing to do for the other volumes either; a refusal is about this one.
      guard
        let reply = try? link.request(
          .inventory(InventoryRequest(volume: volume.id)), timeout: RequestTimeout.short)
      else { return }
      guard case .inventory(let inventory) = reply else { continue }
      try? repair(volume, twins, inventory)
    }
  }

  private func twins(of volume: VolumeRecord) throws(ReplError) -> [SnapshotRecord] {
    try context.database.read { try SnapshotRecord.all($0, volume: volume.id, peer: self.link.cluster) }
      .filter { $0.state == .sealed && $0.hasImage }
  }

  private func repair(
    _ volume: VolumeRecord, _ twins: [SnapshotRecord], _ inventory: InventoryReply
  ) throws(ReplError) {
    for point in inventory.points where !point.damagedSegments.isEmpty {
      guard let twin = twins.first(where: { $0.point == point.point }), let seal = twin.seal,
        seal.fingerprint == point.fingerprint, context.repairFailures.mayTry(point.point)
      else { continue }
      try repair(point, RepairSession(context: context, link: link, volume: volume, twin: twin, seal: seal))
    }
  }

  private func repair(_ point: PointSummary, _ session: RepairSession) throws(ReplError) {
    let volume = session.volume
    do throws(ReplError) {
      try session.run(point.damagedSegments)
    } catch {
      guard error.kind != .transient, error.kind != .cancelled else { throw error }
      guard context.repairFailures.record(error, of: point.point) else { return }
      context.metrics.repaired(.source, succeeded: false)
      context.events.post(
        namespace: volume.namespace, volume: volume.name, warning: true, "RepairFailed",
        "point \(point.point) at \(link.cluster) could not be repaired in \(RepairFailures.limit) tries: \(error)")
      return
    }
    context.repairFailures.clear(point.point)
    context.metrics.repaired(.source, succeeded: true)
    context.events.post(
      namespace: volume.namespace, volume: volume.name, warning: false, "PointRepaired",
      "\(point.damagedSegments.count) damaged segments of point \(point.point) at \(link.cluster) were shipped again")
  }
}

/// One session of kind repair: the damaged segments of one point, read from its twin, sealed with the stored seal.
struct RepairSession: Sendable {
  let context: SourceContext
  let link: any PeerLink
  let volume: VolumeRecord
  let twin: SnapshotRecord
  let seal: Seal
  private let session: SessionID
  private let group: GroupID

  init(context: SourceContext, link: any PeerLink, volume: VolumeRecord, twin: SnapshotRecord, seal: Seal) {
    self.context = context
    self.link = link
    self.volume = volume
    self.twin = twin
    self.seal = seal
    session = context.random.identifier()
    group = context.random.identifier()
  }

  /// - Parameter damaged: ascending. A full list may have left some out: then everything after its first goes.
  func run(_ damaged: [UInt64]) throws(ReplError) {
    let count = segmentCount(ofVolume: seal.size)
    var segments = Set(damaged).filter { $0 < count }.sorted()
    if damaged.count >= PointSummary.damageLimit, let first = segments.first { segments = Array(first..<count) }
    let path = twin.directory + "/repair"
    try PlanMaker.planSegments(segments, volumeSize: seal.size, to: path, context.storage)
    defer { try? context.storage.removeFile(path) }
    do throws(ReplError) {
      try ship(path)
    } catch {
      _ = try? link.request(
        .abortSession(AbortSession(session: session, discard: true)), timeout: RequestTimeout.short)
      throw error
    }
  }

  private func ship(_ path: String) throws(ReplError) {
    guard let key = try context.database.read({ try LineageKeys.find($0, self.seal.lineage) }) else {
      throw ReplError(.damaged, subject: volume.label, cause: "its fingerprint key is missing")
    }
    var machine = SenderSession(
      point: twin.point, kind: .repair, sent: seal, volume: volume.label, peer: link.cluster)
    var reply: BeginReply?
    while true {
      switch machine.step {
      case .begin:
        do throws(ReplError) {
          let answer = try begin(sending: machine.sendsKey ? key : nil)
          reply = answer
          try machine.begun(answer.outcome)
        } catch {
          // A repair that fails otherwise is made anew when the peer wants it.
          guard machine.failed(error, isBaseLost: false, isCancelled: false) == .again else { throw error }
        }
      case .ship(.base(twin.point)):
        guard let reply else { throw ReplError(.bug, subject: volume.label, cause: "ships without a begin") }
        try send(path, key, reply)
        machine.shipped(seal)
      case .ship, .discard:
        throw ReplError(
          .protocolViolation, subject: "peer \(link.cluster)", cause: "does not repair what it was asked to")
      case .prove(let seal):
        let answer = try link.ask(.sealSession(SealSession(session: session, seal: seal))) {
          if case .sealSession(let reply) = $0 { reply } else { nil }
        }
        // There is no second round: what is damaged besides is found by reading it.
        guard case .prepared = answer else { throw unequal }
        try machine.answered(answer)
      case .reship: throw unequal
      case .finished: return
      }
    }
  }

  private var unequal: ReplError {
    ReplError(
      .damaged, subject: "point \(twin.point) at \(link.cluster)", cause: "does not equal its seal after the repair",
      remedy: "verify it: the twin here, or more of the point than is known, is damaged")
  }

  private func begin(sending key: FingerprintKey?) throws(ReplError) -> BeginReply {
    let request = BeginSession(
      session: session, volume: volume.id, namespace: volume.namespace, name: volume.name, lineage: seal.lineage,
      key: key, branch: volume.branch, snapshot: twin.point, generation: seal.generation, size: seal.size,
      takenAt: seal.takenAt, consistency: seal.consistency, kind: .repair, candidates: [], group: group,
      members: [GroupMember(volume: volume.id, size: seal.size)], acceptShrink: false, streams: 1)
    return try link.ask(.beginSession(request)) { if case .beginSession(let reply) = $0 { reply } else { nil } }
  }

  private func send(_ path: String, _ key: FingerprintKey, _ reply: BeginReply) throws(ReplError) {
    let plan = try PlanReader(path, storage: context.storage).summary
    let start = StartSession(
      session: session, base: twin.point, kind: .repair, planDigest: plan.digest, plannedBytes: plan.plannedBytes,
      dataBytes: plan.dataBytes)
    _ = try link.ask(.startSession(start)) { if case .startSession(let reply) = $0 { reply } else { nil } }
    // The proof needs no place: it is the target's work.
    try context.places.withPlace(for: group, check: {}) { () throws(ReplError) in
      try send(WorkItemCursor(try PlanReader(path, storage: context.storage)), key, reply)
    }
  }

  private func send(
    _ cursor: WorkItemCursor, _ key: FingerprintKey, _ reply: BeginReply
  ) throws(ReplError) {
    guard let ticket = reply.tickets.first else {
      throw ReplError(.protocolViolation, subject: "peer \(link.cluster)", cause: "granted no data stream")
    }
    let image = try context.storage.open(twin.imagePath, .read)
    defer { try? image.close() }
    let shipper = ChunkShipper(
      image: image, mode: .knownSums, volumeSize: seal.size, maxChunk: min(reply.maxChunk, link.maxChunk), key: key,
      cursor: cursor, sums: nil, progress: ShipProgress(), pace: context.pace, still: {})
    let stream = try link.openStream(reply, session: session, ticket: ticket)
    defer { stream.cancel() }
    try shipper.run(stream)
  }
}
