import BlockDiff
import Foundation
import GRDB
import ReplModel
import Synchronization
import WireProtocol

/// The target side: answers a peer's requests about the points this agent holds of its volumes.
///
/// Owns the sessions in memory; points and prepared members are owned by the database, staging areas by the files.
/// Any thread may call; one volume is worked on by one session at a time.
final class TargetService: Sendable {
  let context: TargetContext
  private let sessions = Mutex<[SourceVolume: TargetSession]>([:])
  private let tickets = Mutex(StreamTicketBook())
  private let commits = Mutex(())
  private let promotions = Mutex(())

  init(context: TargetContext) { self.context = context }

  /// Answers a request; a failure is an answer too.
  ///
  /// - Parameter agreement: what the hellos of the peer's connection came to.
  func handle(
    _ request: ControlRequest, from peer: String, agreement: StreamAgreement = StreamAgreement()
  ) -> ControlReply {
    do throws(ReplError) {
      return try answer(request, peer, agreement)
    } catch {
      context.metrics.storageError(error)
      return .refused(error)
    }
  }

  /// Finds the session a stream belongs to and takes its ticket.
  ///
  /// - Throws: `unauthenticated` for a ticket that is not good, `transient` for a session that is not open.
  func attach(session: SessionID, ticket: StreamTicket, from peer: String) throws(ReplError) -> TargetStream {
    let found = try find(session, peer)
    let now = ticketTime
    try tickets.withLock { (book) throws(ReplError) in
      do throws(WireError) {
        try book.redeem(ticket, for: found.grant, at: now)
      } catch { throw error.asReplError(subject: found.label) }
    }
    return try found.attach()
  }

  /// How many sessions of peers are open.
  var openSessions: Int { sessions.withLock { $0.count } }

  /// Called about once a second: makes durable what waits for it.
  func tick() { for session in sessions.withLock({ Array($0.values) }) { session.tick() } }

  /// Ends all sessions in good order; they resume later.
  func stop() {
    let all = sessions.withLock { sessions in
      defer { sessions = [:] }
      return Array(sessions.values)
    }
    for session in all { end(session) }
  }

  private func answer(
    _ request: ControlRequest, _ peer: String, _ agreement: StreamAgreement
  ) throws(ReplError) -> ControlReply {
    switch request {
    case .hello, .heartbeat, .unpair:
      throw ReplError(.protocolViolation, subject: "peer \(peer)", cause: "sent a connection's message to the target")
    case .inventory(let request): return .inventory(try inventory(request, peer))
    case .beginSession(let begin): return .beginSession(try self.begin(begin, peer, agreement))
    case .startSession(let start):
      return .startSession(StartReply(durableBytes: try find(start.session, peer).start(start)))
    case .resumeExtents(let request):
      let page = try find(request.session, peer).durablePage(from: request.offset)
      return .resumeExtents(ResumeExtentsReply(extents: page))
    case .segmentSums(let request): return .segmentSums(try segmentSums(request, peer))
    case .sealSession(let request): return .sealSession(try seal(request, peer))
    case .commitGroup(let request): return .commitGroup(try commit(request.group, peer))
    case .confirmGroup(let request):
      try confirm(request.group, peer)
      return .confirmGroup
    case .abortSession(let request):
      abort(request, peer)
      return .abortSession
    case .queryPoint(let request): return .queryPoint(try query(request, peer))
    case .verifyPoint(let request): return .verifyPoint(try verify(request, peer))
    case .sendDocument, .fetchAnswer:
      throw ReplError(.refused, subject: "peer \(peer)", cause: "documents are not for the target")
    case .volumeNotice(let notice):
      try take(notice, peer)
      return .volumeNotice
    }
  }

  // MARK: Sessions

  private func find(_ session: SessionID, _ peer: String) throws(ReplError) -> TargetSession {
    let found = sessions.withLock { sessions in
      sessions.values.first { $0.begin.session == session && $0.peer == peer }
    }
    guard let found else {
      throw ReplError(
        .transient, subject: "session \(session)", cause: "is not open here", remedy: "begin it again: it resumes")
    }
    return found
  }

  private func begin(
    _ begin: BeginSession, _ peer: String, _ agreement: StreamAgreement
  ) throws(ReplError) -> BeginReply {
    let source = try SourceVolume(cluster: peer, volume: begin.volume)
    try checkBegin(begin, peer)
    let running = sessions.withLock { $0[source] }
    if let running, running.begin.session == begin.session, try running.beginAgain(begin) {
      return reply(to: running)
    }
    try checkRunning(running, begin)
    // A begin from the same peer is its newest word: whatever a dead connection left open is let go.
    if let running { end(running) }
    let volume = try TargetVolumes(context: context).admit(begin, from: peer)
    let store = try context.store(pool: volume.pool)
    let key = try self.key(begin, source, store)
    let choice = BaseChoice(context: context, store: store, source: source)
    let outcome = try begin.kind == .repair ? choice.repair(begin) : choice.choose(begin)
    let session = TargetSession(
      peer: peer, source: source, begin: begin, outcome: outcome, volume: volume, key: key, store: store,
      context: context, agreement: agreement)
    sessions.withLock { $0[source] = session }
    do throws(ReplError) {
      // A promotion either finds the session in the table, or has recorded its intent before this looks.
      try TargetVolumes(context: context).requireTarget(begin, from: peer)
    } catch {
      forget(session)
      end(session)
      throw error
    }
    return reply(to: session)
  }

  // MARK: Promotion

  /// Makes points of volumes the live files, all or none, and refuses sessions of them from then on. Idempotent for the
  /// same points.
  ///
  /// - Throws: `.transient` when some are live and the others will be: ``finishPromotions()`` goes on with them.
  func promote(_ group: [WantedPromotion]) throws(ReplError) {
    try promotions.withLock { _ throws(ReplError) in
      for wanted in group { try requireNoProof(of: wanted.source) }
      let promotion = Promotion(context: context)
      let intents = try promotion.intend(group)
      for wanted in group {
        if let running = sessions.withLock({ $0.removeValue(forKey: wanted.source) }) { end(running) }
      }
      try promotion.complete(intents)
    }
  }

  /// Goes on with promotions of which a part failed; what still cannot be finished, as sentences.
  func finishPromotions() throws(ReplError) -> [String] {
    try promotions.withLock { _ throws(ReplError) in try Promotion(context: context).finishAll() }
  }

  /// Throws what ``promote(_:point:)`` would refuse with as things are.
  func checkPromotion(_ source: SourceVolume, point: PointID) throws(ReplError) {
    try promotions.withLock { _ throws(ReplError) in
      try requireNoProof(of: source)
      _ = try Promotion(context: context).plan(source, point: point)
    }
  }

  private func requireNoProof(of source: SourceVolume) throws(ReplError) {
    guard let running = sessions.withLock({ $0[source] }), running.isSealing else { return }
    throw ReplError(.transient, subject: running.label, cause: "is being proven", remedy: "try again when it is done")
  }

  /// What is being proven is not disturbed, and a repair waits for a session of the same volume; the source tries again.
  private func checkRunning(_ running: TargetSession?, _ begin: BeginSession) throws(ReplError) {
    guard let running, !running.isRepair else { return }
    guard running.isSealing || (begin.kind == .repair && running.isUnderWay) else { return }
    throw ReplError(
      .transient, subject: running.label, cause: running.isSealing ? "is being proven" : "is under way",
      remedy: "try again when it is done")
  }

  private func end(_ session: TargetSession, discard: Bool = false) {
    session.end(discard: discard)
    tickets.withLock { $0.revoke(session: session.begin.session) }
  }

  /// Nanoseconds of the clock that tickets go by.
  private var ticketTime: Int64 { Int64(clamping: context.elapsed.now()) }

  /// The answer to a begin, with new tickets; those given to the session before are void.
  private func reply(to session: TargetSession) -> BeginReply {
    let wanted =
      switch session.outcome {
      case .alreadySealed, .prepared: 0
      default: session.isRepair ? 1 : min(max(Int(session.begin.streams), 1), 16)
      }
    let now = ticketTime
    let granted = tickets.withLock { book in
      var generator = SystemRandomNumberGenerator()
      book.revoke(session: session.begin.session)
      let count = min(wanted, freeStreams(besides: session, ticketsOut: book.count(at: now)))
      return (0..<count).compactMap { _ in book.issue(session.grant, at: now, using: &generator) }
    }
    return BeginReply(
      outcome: session.outcome, dataAddress: "", dataPort: context.configuration.dataPort,
      maxChunk: session.agreement.maxChunk, tickets: granted)
  }

  /// Streams that the memory for buffers still has room for, over the sessions of all peers: what is open or may be
  /// opened with a ticket counts. At least one, so that no session has to wait for another's end.
  private func freeStreams(besides session: TargetSession, ticketsOut: Int) -> Int {
    let open = sessions.withLock { $0.values.filter { $0 !== session }.reduce(0) { $0 + $1.openStreams } }
    return max(1, context.configuration.streamsInMemory - ticketsOut - open)
  }

  private func checkBegin(_ begin: BeginSession, _ peer: String) throws(ReplError) {
    let subject = "session \(begin.session) from \(peer)"
    guard begin.size > 0, begin.size <= UInt64(Int64.max) - (1 << 21) else {
      throw ReplError(.invalid, subject: subject, cause: "a volume of \(begin.size) bytes cannot be kept")
    }
    guard begin.members.contains(where: { $0.volume == begin.volume && $0.missingReason == nil }) else {
      throw ReplError(.protocolViolation, subject: subject, cause: "the volume is not a member of its own group")
    }
  }

  private func key(_ begin: BeginSession, _ source: SourceVolume, _ store: PointStore) throws(ReplError)
    -> FingerprintKey
  {
    let keys = try store.keys(of: source)
    if let key = begin.key { try keys.store(key, of: begin.lineage) }
    return try keys.key(of: begin.lineage)
  }

  private func abort(_ request: AbortSession, _ peer: String) {
    guard let session = try? find(request.session, peer) else { return }
    // One that is being proven stays known until the proof is done: nobody else may open its staging area meanwhile.
    if !session.isSealing { forget(session) }
    end(session, discard: request.discard)
  }

  private func forget(_ session: TargetSession) {
    sessions.withLock { if $0[session.source] === session { $0[session.source] = nil } }
  }

  // MARK: Sealing

  private func seal(_ request: SealSession, _ peer: String) throws(ReplError) -> SealReply {
    let session = try find(request.session, peer)
    try checkSeal(request.seal, session)
    defer { if session.isEnded { forget(session) } }
    let reply: SealReply
    do throws(ReplError) {
      reply = try session.seal(request.seal)
    } catch {
      if error.kind == .noSpace { RetentionRun(context: context).makeRoom(for: session.source) }
      throw error
    }
    if session.isRepair {
      forget(session)
      if case .prepared = reply { tellRepair(session) }
      return reply
    }
    if case .prepared = reply {
      do throws(ReplError) {
        let prepared = PreparedRecord(cluster: peer, pool: session.volume.pool, seal: request.seal)
        try MemberAdmission(context: context).admit(prepared, on: session.base)
      } catch {
        forget(session)
        end(session)
        throw error
      }
    } else if case .mismatch(_, final: true) = reply {
      forget(session)
    }
    return reply
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

  // MARK: Notices

  /// A session of a volume that is gone ends with what it staged, but not while its proof writes there: the source says
  /// it again.
  private func take(_ notice: VolumeNotice, _ peer: String) throws(ReplError) {
    guard case .deleted = notice.content else {
      return try NoticeKeeper(context: context).take(notice, from: peer)
    }
    let source = try SourceVolume(cluster: peer, volume: notice.volume)
    try requireNoProof(of: source)
    if let running = sessions.withLock({ $0.removeValue(forKey: source) }) { end(running, discard: true) }
    try commits.withLock { _ throws(ReplError) in try NoticeKeeper(context: context).take(notice, from: peer) }
  }

  // MARK: Commit

  /// Publishes a group: every member's files first, then one transaction that makes them points.
  private func commit(_ group: GroupID, _ peer: String) throws(ReplError) -> CommitReply {
    try commits.withLock { _ throws(ReplError) in
      if let done = try context.database.read({ try CommittedGroup.find($0, group, cluster: peer) }) { return done }
      let prepared = try context.database.read { try PreparedRecord.group($0, group, cluster: peer) }
      return try GroupPublisher(context: context).publish(group, prepared)
    }
  }

  private func confirm(_ group: GroupID, _ peer: String) throws(ReplError) {
    guard let done = try context.database.read({ try CommittedGroup.find($0, group, cluster: peer) }) else { return }
    var sources: [SourceVolume] = []
    for point in done.points {
      let found = try context.database.write { database in
        try CatalogPoint.confirm(database, cluster: peer, point: point)
      }
      if let found { sources.append(try SourceVolume(cluster: peer, volume: found)) }
    }
    sessions.withLock { sessions in
      for source in sources where sessions[source]?.begin.group == group { sessions[source] = nil }
    }
    let upkeep = sources
    context.background { [context] in
      for source in upkeep { RetentionRun(context: context).prune(source) }
    }
  }
}
