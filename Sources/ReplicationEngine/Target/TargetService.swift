import AgentService
import BlockDiff
import ReplModel
import Threads
import WireProtocol

/// The target side: answers a peer's requests about the points this agent holds of its volumes.
///
/// Owns the sessions in memory; points and prepared members are owned by the database, staging areas by the files.
/// Any thread may call. Whoever opens, closes, publishes or deletes files of a volume has its turn (``VolumeTurns``): of
/// two begins of one volume the second meets the session of the first. What takes long runs at the ``WorkDesk``.
final class TargetService: Sendable {
  let context: TargetContext
  let turns: VolumeTurns
  let desk: WorkDesk
  let rooms: RoomMaker
  let presence: PeerPresence
  let sessions: SessionTable
  let commits = CommitCounts()
  let log: SessionLog
  let tickets = Locked(StreamTicketBook())
  /// What ``tick()`` has begun and what has not ended yet.
  private let ticking = Locked<Set<Chore>>([])

  private struct Chore: Hashable {
    enum Purpose { case end, record }
    var purpose: Purpose
    var pool: String
  }

  init(context: TargetContext) {
    self.context = context
    log = SessionLog(logger: context.logger)
    let sessions = SessionTable()
    let turns = VolumeTurns(waiters: context.budgets.waitingForTurn)
    self.sessions = sessions
    self.turns = turns
    desk = WorkDesk(budgets: context.budgets, clock: context.clock, spawn: context.spawn)
    rooms = RoomMaker(context: context, turns: turns) { sessions[$0] != nil }
    presence = PeerPresence(clock: context.clock)
    context.streams.countReceived { [weak self] in self?.streamsGivenOut ?? 0 }
  }

  /// Answers a request; a failure is an answer too.
  ///
  /// - Parameter agreement: what the hellos of the peer's connection came to.
  func handle(
    _ request: ControlRequest, from peer: String, agreement: StreamAgreement = StreamAgreement()
  ) -> ControlReply {
    refusing { () throws(ReplError) in try answer(request, peer, agreement) }
  }

  /// A failure as the answer it is.
  func refusing(_ body: () throws(ReplError) -> ControlReply) -> ControlReply {
    do throws(ReplError) {
      return try body()
    } catch {
      context.metrics.storageError(error)
      return .refused(error)
    }
  }

  /// Sessions of peers, those whose work is done left out.
  var inbound: [InboundSession] {
    sessions.all.filter { !$0.isEnded }.map(\.report)
      .sorted { ($0.cluster, $0.namespace, $0.volume) < ($1.cluster, $1.namespace, $1.volume) }
  }

  /// How many sessions of peers are open.
  var openSessions: Int { sessions.all.count }

  /// Called about once a second: makes durable what waits for it, pool by pool, so that one that hangs holds up no other,
  /// and ends the sessions and readings of peers that have been away too long. Proofs go on.
  func tick() {
    for peer in presence.away(longerThan: context.budgets.grace) { desk.cancel(peer: peer, .read) }
    let abandoned = sessions.all.filter {
      !$0.isProving && presence.secondsAway($0.peer) > context.budgets.grace
    }
    inBackground(.end, abandoned) { [self] in endInTurn($0) }
    inBackground(.record, sessions.all.filter(\.hasUnrecorded)) { $0.tick() }
  }

  /// Does something with sessions, each pool's on a thread of its own, unless the last such work there has not ended.
  private func inBackground(
    _ purpose: Chore.Purpose, _ sessions: [TargetSession], _ work: @escaping @Sendable (TargetSession) -> Void
  ) {
    for (pool, sessions) in Dictionary(grouping: sessions, by: \.volume.pool) {
      let key = Chore(purpose: purpose, pool: pool)
      guard ticking.withLock({ $0.insert(key).inserted }) else { continue }
      do throws(ReplError) {
        try context.spawn { [self] in
          defer { ticking.withLock { _ = $0.remove(key) } }
          for session in sessions { work(session) }
        }
      } catch {
        ticking.withLock { _ = $0.remove(key) }
      }
    }
  }

  /// Trust in a peer has ended: nothing it asked for goes on.
  func cutOff(_ peer: String) {
    desk.cancel(peer: peer)
    for (_, sessions) in Dictionary(grouping: sessions.all.filter { $0.peer == peer }, by: \.volume.pool) {
      try? context.spawn { [self] in for session in sessions { endInTurn(session) } }
    }
  }

  /// Gives up long work, so that no request waits for it any more. For the beginning of the agent's end.
  func beginStop() { desk.stop(within: .zero) }

  /// Ends all sessions in good order; they resume later. A pool that does not answer is not waited for.
  func stop() {
    desk.stop(within: .seconds(10))
    for session in sessions.removeAll() { try? session.retire(within: .seconds(1)) }
  }

  private func answer(
    _ request: ControlRequest, _ peer: String, _ agreement: StreamAgreement
  ) throws(ReplError) -> ControlReply {
    switch request {
    case .hello, .heartbeat, .unpair:
      throw ReplError(.protocolViolation, subject: "peer \(peer)", cause: "sent a connection's message to the target")
    case .inventory(let request): return .inventory(try inventory(request, peer))
    case .beginSession(let begin): return try answer(begin, request, peer, agreement)
    case .startSession(let start): return try answer(start, request, peer)
    case .resumeExtents(let resume):
      let session = try find(resume.session, peer)
      return try work(request, peer, session.volume.pool) { _ throws(ReplError) in
        .resumeExtents(ResumeExtentsReply(extents: try session.durablePage(from: resume.offset)))
      }
    case .segmentSums(let sums): return try answer(sums, request, peer)
    case .sealSession(let seal): return try answer(seal, request, peer)
    case .commitGroup(let commit): return try answer(commit, request, peer)
    case .confirmGroup(let request):
      try confirm(request.group, peer)
      return .confirmGroup
    case .abortSession(let abort):
      guard let session = sessions.find(abort.session, of: peer) else { return .abortSession }
      return try work(request, peer, session.volume.pool) { [self] _ throws(ReplError) in
        try self.abort(session, discard: abort.discard)
        return .abortSession
      }
    case .queryPoint(let request): return .queryPoint(try query(request, peer))
    case .verifyPoint(let verify): return try answer(verify, request, peer)
    case .sendDocument, .fetchAnswer:
      throw ReplError(.refused, subject: "peer \(peer)", cause: "documents are not for the target")
    case .volumeNotice(let notice):
      return try work(request, peer, try pool(of: notice.volume, peer)) { [self] _ throws(ReplError) in
        try take(notice, peer)
        return .volumeNotice
      }
    }
  }

  /// Does what touches files of a pool at the desk.
  func work(
    _ request: ControlRequest, _ peer: String, _ pool: String, _ kind: WorkDesk.Lane.Kind = .change,
    _ body: @escaping @Sendable (Work) throws(ReplError) -> ControlReply
  ) throws(ReplError) -> ControlReply {
    try desk.answer(request, .init(peer: peer, pool: pool, kind: kind)) { [self] work in
      refusing { () throws(ReplError) in try body(work) }
    }
  }

  /// The pool that holds a volume; empty for one that is not known here.
  func pool(of volume: VolumeID, _ peer: String) throws(ReplError) -> String {
    try context.database.read { try Replica.find($0, cluster: peer, volume: volume)?.pool } ?? ""
  }

  // MARK: Promotion

  /// Makes points of volumes the live files, all or none, and refuses sessions of them from then on. Idempotent for the
  /// same points.
  ///
  /// - Throws: `.transient` when some are live and the others will be: ``finishIntents()`` goes on with them.
  func promote(_ group: [WantedPromotion]) throws(ReplError) {
    for wanted in group { try requireNoProof(of: wanted.source, within: context.budgets.proofGrace) }
    let volumes = Set(group.map(\.source))
    try turns.take(volumes, within: context.budgets.turnTime) { () throws(ReplError) in
      let promotion = Promotion(context: context)
      let intents = try promotion.intend(group)
      for volume in volumes {
        if let running = sessions[volume] { try end(running) }
      }
      try promotion.complete(intents)
    }
  }

  /// Goes on with intents of which a part failed; what still cannot be finished.
  func finishIntents() throws(ReplError) -> [UnfinishedIntent] {
    try IntentRunner(context: context).finish { [self] (source, finish) throws(ReplError) in
      try turns.take([source], within: context.budgets.turnTime, finish)
    }
  }

  /// Throws what ``promote(_:)`` would refuse with as things are.
  func checkPromotion(_ source: SourceVolume, point: PointID) throws(ReplError) {
    try requireNoProof(of: source, within: context.budgets.proofGrace)
    _ = try Promotion(context: context).plan(source, point: point)
  }

  /// - Parameter limit: seconds after which a proof is no reason to wait any more.
  private func requireNoProof(of source: SourceVolume, within limit: Double = .infinity) throws(ReplError) {
    guard let running = sessions[source], let age = running.secondsProving, age < limit else { return }
    throw ReplError(.transient, subject: running.label, cause: "is being proven", remedy: "try again when it is done")
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
    try turns.take([source], within: context.budgets.turnTime) { () throws(ReplError) in
      if let running = sessions[source] { try end(running, discard: true) }
      try NoticeKeeper(context: context).take(notice, from: peer)
    }
  }
}

/// The sessions that are open, one a volume. Any thread may call; who adds or removes one has the volume's turn.
final class SessionTable: Sendable {
  private let sessions = Locked<[SourceVolume: TargetSession]>([:])

  subscript(source: SourceVolume) -> TargetSession? { sessions.withLock { $0[source] } }

  var all: [TargetSession] { sessions.withLock { Array($0.values) } }

  /// One by its id, for the peer that began it.
  func find(_ session: SessionID, of peer: String) -> TargetSession? {
    sessions.withLock { sessions in
      sessions.values.first { $0.begin.session == session && $0.peer == peer }
    }
  }

  func insert(_ session: TargetSession) { sessions.withLock { $0[session.source] = session } }

  func remove(_ session: TargetSession) {
    sessions.withLock { if $0[session.source] === session { $0[session.source] = nil } }
  }

  func removeAll() -> [TargetSession] {
    sessions.withLock { sessions in
      defer { sessions = [:] }
      return Array(sessions.values)
    }
  }
}

/// Which peers have a control connection here, and since when the others have none. Any thread may call.
final class PeerPresence: Sendable {
  private struct Peer {
    var connections = 0
    /// Monotonic seconds.
    var leftAt = 0.0
  }

  private let clock: any EngineClock
  private let peers = Locked<[String: Peer]>([:])

  init(clock: any EngineClock) { self.clock = clock }

  func arrived(_ peer: String) { peers.withLock { $0[peer, default: Peer()].connections += 1 } }

  func left(_ peer: String) {
    let now = clock.ticks()
    peers.withLock { peers in
      peers[peer]?.connections -= 1
      peers[peer]?.leftAt = now
    }
  }

  /// Peers that have had no connection for so many seconds.
  func away(longerThan seconds: Double) -> [String] {
    peers.withLock { Array($0.keys) }.filter { secondsAway($0) > seconds }
  }

  /// Seconds for which a peer has had no connection; 0 for one that has, or never had.
  func secondsAway(_ peer: String) -> Double {
    let now = clock.ticks()
    return peers.withLock { peers in
      guard let known = peers[peer], known.connections <= 0 else { return 0 }
      return now - known.leftAt
    }
  }
}
