import BlockDiff
import ReplModel
import WireProtocol

/// Proofs of sessions. They run outside of the volume's turn and of all requests: who asked may go and come again.
extension TargetService {
  func answer(_ request: SealSession, _ whole: ControlRequest, _ peer: String) throws(ReplError) -> ControlReply {
    let session = try find(request.session, peer)
    try checkSeal(request.seal, session)
    if let known = try session.admitProof(request.seal) {
      session.noteTold()
      return .sealSession(known)
    }
    let reply = try desk.answer(whole, .init(peer: peer, pool: session.volume.pool, kind: .proof)) { [self] work in
      refusing { () throws(ReplError) in .sealSession(try prove(request.seal, session, work)) }
    }
    if case .sealSession = reply { session.noteTold() }
    return reply
  }

  private func prove(_ seal: Seal, _ session: TargetSession, _ work: Work) throws(ReplError) -> SealReply {
    defer { if session.isEnded || session.isRepair { sessions.remove(session) } }
    return try session.prove(seal, work) { (reply) throws(ReplError) in
      switch reply {
      case .prepared where session.isRepair: try recordRepair(session)
      case .prepared: try recordPrepared(seal, session)
      case .mismatch(_, final: true) where !session.isRepair: try suspectBase(seal, session)
      case .mismatch: break
      }
    }
  }

  private func recordPrepared(_ seal: Seal, _ session: TargetSession) throws(ReplError) {
    let prepared = PreparedRecord(cluster: session.peer, pool: session.volume.pool, seal: seal)
    try context.database.write { database in
      // The same seal may come again after the group was committed: the point is no longer prepared then.
      let point = try CatalogPoint.find(
        database, cluster: session.peer, volume: session.source.volume, point: seal.point)
      if point == nil { try prepared.insert(database) }
    }
  }

  /// The point was read whole and equals its seal again.
  private func recordRepair(_ session: TargetSession) throws(ReplError) {
    let now = context.clock.now()
    try context.database.write { database in
      let id = session.begin.snapshot
      guard
        var point = try CatalogPoint.find(
          database, cluster: session.peer, volume: session.source.volume, point: id)
      else { return }
      if point.state == .suspect { point.state = .sealed }
      point.damaged = []
      point.provenAt = now
      try point.insert(database)
    }
    context.metrics.repaired(.target, succeeded: true)
    try context.repairs.review(session.peer, in: context.database)
    context.events.post(
      ObjectReference(kind: "RecoveryPoint", namespace: "", name: session.begin.snapshot.description, uid: ""),
      "PointRepaired", "point \(session.begin.snapshot) equals its seal again: the source shipped its damaged segments")
  }

  private func checkSeal(_ seal: Seal, _ session: TargetSession) throws(ReplError) {
    let begin = session.begin
    if session.isRepair { return try checkRepairSeal(seal, session) }
    guard
      seal.volume == begin.volume, seal.lineage == begin.lineage, seal.branch == begin.branch,
      seal.generation == begin.generation, seal.group == begin.group, seal.members == begin.members,
      seal.takenAt == begin.takenAt, seal.consistency == begin.consistency
    else {
      throw ReplError(.protocolViolation, subject: session.label, cause: "the seal is of another session than begun")
    }
  }

  private func checkRepairSeal(_ seal: Seal, _ session: TargetSession) throws(ReplError) {
    let stored = try context.database.read {
      try CatalogPoint.find(
        $0, cluster: session.peer, volume: session.source.volume, point: session.begin.snapshot)
    }
    guard stored?.seal == seal else {
      throw ReplError(.protocolViolation, subject: session.label, cause: "the seal is not the one of the damaged point")
    }
  }

  /// After a second mismatch nobody knows which side's base is wrong: ours is not used until a full read proves it.
  private func suspectBase(_ seal: Seal, _ session: TargetSession) throws(ReplError) {
    guard let base = seal.base else { return }
    try context.database.write {
      try CatalogPoint.setState($0, session.source, base, .suspect)
    }
    context.events.post(
      namespace: session.volume.namespace, volume: session.volume.name, warning: true, "SealMismatch",
      "point \(seal.point) did not match its source twice; base \(base) is suspect until a full read proves it")
  }
}
