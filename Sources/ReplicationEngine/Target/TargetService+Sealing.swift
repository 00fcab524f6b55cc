import AgentService
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
    // One whose answer nobody has fetched stays until its peer asks again, or is away for long.
    defer { if session.isRepair || (session.isEnded && !session.hasVerdict) { sessions.remove(session) } }
    return try session.prove(seal, work) { (reply) throws(ReplError) in
      switch reply {
      case .prepared where session.isRepair: tellRepair(session)
      case .prepared:
        let prepared = PreparedRecord(cluster: session.peer, pool: session.volume.pool, seal: seal)
        try MemberAdmission(context: context).admit(prepared, on: session.base)
      case .mismatch: break
      }
    }
  }

  /// The point was read whole and equals its seal again; ``RepairSlot`` has recorded that.
  private func tellRepair(_ session: TargetSession) {
    context.metrics.repaired(.target, succeeded: true)
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
}
