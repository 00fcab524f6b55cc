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
  private let commits = Mutex(())

  init(context: TargetContext) { self.context = context }

  /// Answers a request; a failure is an answer too.
  func handle(_ request: ControlRequest, from peer: String) -> ControlReply {
    do throws(ReplError) {
      return try answer(request, from: peer)
    } catch {
      return .refused(error)
    }
  }

  /// Finds the session a stream belongs to and takes its ticket.
  func attach(session: SessionID, ticket: StreamTicket, from peer: String) throws(ReplError) -> TargetStream {
    try find(session, peer).attach(ticket)
  }

  /// Called about once a second: makes durable what waits for it.
  func tick() { for session in sessions.withLock({ Array($0.values) }) { session.tick() } }

  /// Ends all sessions in good order; they resume later.
  func stop() {
    let all = sessions.withLock { sessions in
      defer { sessions = [:] }
      return Array(sessions.values)
    }
    for session in all { session.end() }
  }

  private func answer(_ request: ControlRequest, from peer: String) throws(ReplError) -> ControlReply {
    switch request {
    case .hello, .heartbeat, .unpair:
      throw ReplError(.protocolViolation, subject: "peer \(peer)", cause: "sent a connection's message to the target")
    case .inventory(let request): return .inventory(try inventory(request, peer))
    case .beginSession(let begin): return .beginSession(try self.begin(begin, peer))
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

  private func begin(_ begin: BeginSession, _ peer: String) throws(ReplError) -> BeginReply {
    let source = try SourceVolume(cluster: peer, volume: begin.volume)
    try checkBegin(begin, peer)
    let running = sessions.withLock { $0[source] }
    if let running, running.begin.session == begin.session, running.isRepairing {
      return reply(running.outcome, tickets: running.issueTickets(streams(begin)))
    }
    // A begin from the same peer is its newest word: whatever a dead connection left open is let go.
    running?.end()
    let volume = try TargetVolumes(context: context).admit(begin, from: peer)
    let store = try context.store(pool: volume.pool)
    let key = try self.key(begin, source, store)
    let outcome = try BaseChoice(context: context, store: store, source: source).choose(begin)
    let session = TargetSession(
      peer: peer, source: source, begin: begin, outcome: outcome, volume: volume, key: key, store: store,
      context: context)
    sessions.withLock { $0[source] = session }
    switch outcome {
    case .alreadySealed, .prepared: return reply(outcome, tickets: [])
    default: return reply(outcome, tickets: session.issueTickets(streams(begin)))
    }
  }

  private func streams(_ begin: BeginSession) -> Int {
    min(max(Int(begin.streams), 1), 16, BeginReply.ticketLimit)
  }

  private func reply(_ outcome: BeginOutcome, tickets: [StreamTicket]) -> BeginReply {
    BeginReply(
      outcome: outcome, dataAddress: "", dataPort: context.configuration.dataPort, maxChunk: 1 << 20, tickets: tickets)
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
    sessions.withLock { if $0[session.source] === session { $0[session.source] = nil } }
    session.end(discard: request.discard)
  }

  // MARK: Sealing

  private func seal(_ request: SealSession, _ peer: String) throws(ReplError) -> SealReply {
    let session = try find(request.session, peer)
    try checkSeal(request.seal, session)
    let reply: SealReply
    do throws(ReplError) {
      reply = try session.seal(request.seal)
    } catch {
      if error.kind == .noSpace { RetentionRun(context: context).makeRoom(for: session.source) }
      throw error
    }
    if case .prepared = reply {
      let prepared = PreparedRecord(cluster: peer, pool: session.volume.pool, seal: request.seal)
      try context.database.write { try prepared.insert($0) }
    } else if case .mismatch(_, final: true) = reply {
      try suspectBase(request.seal, session)
    }
    return reply
  }

  private func checkSeal(_ seal: Seal, _ session: TargetSession) throws(ReplError) {
    let begin = session.begin
    guard
      seal.volume == begin.volume, seal.lineage == begin.lineage, seal.branch == begin.branch,
      seal.generation == begin.generation, seal.group == begin.group, seal.members == begin.members,
      seal.takenAt == begin.takenAt, seal.consistency == begin.consistency
    else {
      throw ReplError(.protocolViolation, subject: session.label, cause: "the seal is of another session than begun")
    }
  }

  /// After a second mismatch nobody knows which side's base is wrong: ours is not used until a full read proves it.
  private func suspectBase(_ seal: Seal, _ session: TargetSession) throws(ReplError) {
    sessions.withLock { if $0[session.source] === session { $0[session.source] = nil } }
    guard let base = seal.base else { return }
    try context.database.write {
      try CatalogPoint.setState($0, session.source, base, .suspect)
    }
    context.events.post(
      namespace: session.volume.namespace, volume: session.volume.name, warning: true, "SealMismatch",
      "point \(seal.point) did not match its source twice; base \(base) is suspect until a full read proves it")
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
