import BlockDiff
import ReplModel
import WireProtocol

/// Begin, start, streams and abort of sessions.
extension TargetService {
  func find(_ session: SessionID, _ peer: String) throws(ReplError) -> TargetSession {
    if let found = sessions.find(session, of: peer) { return found }
    throw ReplError(
      .transient, subject: "session \(session)", cause: "is not open here", remedy: "begin it again: it resumes")
  }

  /// Finds the session a stream belongs to and takes its ticket.
  ///
  /// - Parameter disconnect: ends the stream's connection, when the session ends or begins again.
  /// - Throws: `transient` for a ticket that is not good and for a session that is not open: it is begun again.
  func attach(
    session: SessionID, ticket: StreamTicket, from peer: String, disconnect: @escaping @Sendable () -> Void = {}
  ) throws(ReplError) -> TargetStream {
    let found = try find(session, peer)
    let now = ticketTime
    try tickets.withLock { (book) throws(ReplError) in
      do throws(WireError) {
        try book.redeem(ticket, for: found.grant, at: now)
      } catch { throw error.asReplError(subject: found.label) }
    }
    return try found.attach(disconnect: disconnect)
  }

  // MARK: Begin

  func answer(
    _ begin: BeginSession, _ request: ControlRequest, _ peer: String, _ agreement: StreamAgreement
  ) throws(ReplError) -> ControlReply {
    let source = try SourceVolume(cluster: peer, volume: begin.volume)
    try checkBegin(begin, peer)
    try rooms.requireStateRoom()
    let touched = TouchedBase(context: context, begin: begin, source: source)
    // To read a base takes as long as a proof, and is done where proofs are, without the turn: whoever promotes the volume
    // meanwhile does not wait for it.
    let isNew = sessions[source]?.begin.session != begin.session
    let isRead = isNew ? try touched.next() != nil : false
    return try work(request, peer, try pool(of: begin.volume, peer), isRead ? .proof : .change) {
      [self] work throws(ReplError) in
      if isRead { try touched.prove(work) }
      return try turns.take([source], within: context.budgets.turnTime) { () throws(ReplError) -> ControlReply in
        .beginSession(try self.begin(begin, source, agreement, work))
      }
    }
  }

  /// With the volume's turn: what is running is met, joined or ended here, and nobody comes in between.
  private func begin(
    _ begin: BeginSession, _ source: SourceVolume, _ agreement: StreamAgreement, _ work: Work
  ) throws(ReplError) -> BeginReply {
    let peer = source.cluster
    try work.advance(0)
    if let running = sessions[source] {
      if running.begin.session == begin.session, running.begin.snapshot == begin.snapshot {
        if let seal = running.sealInProof { return reply(to: running, .proving(seal)) }
        if try running.beginAgain(begin) { return reply(to: running, running.outcome) }
      }
      try checkRunning(running, begin)
      // A begin from the same peer is its newest word: whatever a dead connection left open is let go.
      try end(running)
    }
    try checkBudgets(begin, peer)
    let volume = try TargetVolumes(context: context).admit(begin, from: peer)
    try requireAcceptedSize(begin, volume, source)
    let store = try context.store(pool: volume.pool)
    let key = try rooms.withRoom(in: volume.pool, for: source) { () throws(ReplError) in
      try self.key(begin, source, store)
    }
    let choice = BaseChoice(context: context, store: store, source: source)
    let outcome = try begin.kind == .repair ? choice.repair(begin) : choice.choose(begin)
    try requireConfirmations(volume, source)
    let session = TargetSession(
      peer: peer, source: source, begin: begin, outcome: outcome, volume: volume, key: key, store: store,
      context: context, rooms: rooms, agreement: agreement)
    sessions.insert(session)
    do throws(ReplError) {
      // A promotion either finds the session in the table, or has recorded its intent before this looks.
      try TargetVolumes(context: context).requireTarget(begin, from: peer)
    } catch {
      try end(session)
      throw error
    }
    log.begun(session)
    return reply(to: session, session.outcome)
  }

  /// A repair waits for a session of the same volume; the source tries again.
  private func checkRunning(_ running: TargetSession, _ begin: BeginSession) throws(ReplError) {
    guard begin.kind == .repair, !running.isRepair, running.isUnderWay else { return }
    throw ReplError(.transient, subject: running.label, cause: "is under way", remedy: "try again when it is done")
  }

  private func checkBudgets(_ begin: BeginSession, _ peer: String) throws(ReplError) {
    let own = sessions.all.count { $0.peer == peer }
    guard own >= context.budgets.sessions else {
      guard let other = sessions.find(begin.session, of: peer), other.begin.volume != begin.volume else { return }
      throw ReplError(
        .protocolViolation, subject: "session \(begin.session)", cause: "is that of volume \(other.begin.volume)")
    }
    throw ReplError(
      .transient, subject: "peer \(peer)", cause: "has \(own) sessions open here, the most there may be",
      remedy: "it tries again by itself when others have ended")
  }

  /// A source confirms each point, or names it when it begins next. One that never does is not served for ever.
  private func requireConfirmations(_ volume: Replica, _ source: SourceVolume) throws(ReplError) {
    guard commits.count(of: source) >= context.budgets.unconfirmedPoints else { return }
    let unconfirmed = try context.database.read {
      try CatalogPoint.unconfirmed($0, cluster: source.cluster, volume: source.volume)
    }
    guard unconfirmed >= context.budgets.unconfirmedPoints else { return commits.reset(source) }
    throw ReplError(
      .refused, subject: volume.label,
      cause: "has \(unconfirmed) points here that its source never confirmed",
      remedy: "the source confirms by confirmGroup, or by naming a point among its candidates")
  }

  /// A volume that shrank is another one until somebody has said that it is not: what its points hold would be cut off.
  private func requireAcceptedSize(
    _ begin: BeginSession, _ volume: Replica, _ source: SourceVolume
  ) throws(ReplError) {
    guard !begin.acceptShrink, begin.kind != .repair else { return }
    let newest = try context.database.read {
      try CatalogPoint.newestSealed($0, cluster: source.cluster, volume: source.volume)
    }
    guard let newest, newest.point != begin.snapshot, newest.seal.size > begin.size else { return }
    throw ReplError(
      .refused, subject: volume.label,
      cause: "has \(begin.size) bytes, and its newest point here \(newest.seal.size)",
      remedy: "if it was to shrink, accept that at the source with `replctl create migration --accept-shrink`")
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

  /// Nanoseconds of the clock that tickets go by.
  private var ticketTime: Int64 { Int64(clamping: context.elapsed.now()) }

  /// The answer to a begin, with new tickets; those given to the session before are void.
  private func reply(to session: TargetSession, _ outcome: BeginOutcome) -> BeginReply {
    let wanted =
      switch outcome {
      case .alreadySealed, .prepared, .proving: 0
      default: session.isRepair ? 1 : min(max(Int(session.begin.streams), 1), 16)
      }
    let now = ticketTime
    let granted = context.streams.receive { most in
      tickets.withLock { book in
        var generator = SystemRandomNumberGenerator()
        book.revoke(session: session.begin.session)
        let count = min(wanted, freeStreams(of: most, besides: session, ticketsOut: book.count(at: now)))
        return (0..<count).compactMap { _ in book.issue(session.grant, at: now, using: &generator) }
      }
    }
    return BeginReply(
      outcome: outcome, dataAddress: "", dataPort: context.configuration.dataPort,
      maxChunk: session.agreement.maxChunk, tickets: granted)
  }

  /// Streams that the memory for buffers still has room for, over the sessions of all peers: what is open or may be
  /// opened with a ticket counts. At least one, so that no session has to wait for another's end.
  private func freeStreams(of most: Int, besides session: TargetSession, ticketsOut: Int) -> Int {
    let open = sessions.all.filter { $0 !== session }.reduce(0) { $0 + $1.openStreams }
    return max(1, most - ticketsOut - open)
  }

  /// Streams that are open or may be opened with a ticket.
  var streamsGivenOut: Int {
    let now = ticketTime
    return tickets.withLock { $0.count(at: now) } + sessions.all.reduce(0) { $0 + $1.openStreams }
  }

  // MARK: Start

  func answer(_ start: StartSession, _ request: ControlRequest, _ peer: String) throws(ReplError) -> ControlReply {
    let session = try find(start.session, peer)
    return try work(request, peer, session.volume.pool) { [self] _ throws(ReplError) in
      try turns.take([session.source], within: context.budgets.turnTime) { () throws(ReplError) -> ControlReply in
        let durable = try session.start(start)
        if durable > 0 { log.resumed(session, durable: durable) }
        renewTickets(of: session)
        return .startSession(StartReply(durableBytes: durable))
      }
    }
  }

  /// Tickets of the begin are good for a whole time again, as many as there is memory for still.
  private func renewTickets(of session: TargetSession) {
    let (now, id) = (ticketTime, session.begin.session)
    context.streams.receive { most in
      tickets.withLock { book in
        let others = book.count(at: now, besides: id)
        book.renew(session: id, at: now, most: freeStreams(of: most, besides: session, ticketsOut: others))
      }
    }
  }

  // MARK: End

  /// With the volume's turn: the session's files are nobody's when this returns.
  ///
  /// - Throws: `transient` while one of its writes or its proof does not end: it stays in the table then.
  func end(_ session: TargetSession, discard: Bool = false) throws(ReplError) {
    tickets.withLock { $0.revoke(session: session.begin.session) }
    try session.retire(discard: discard)
    sessions.remove(session)
  }

  func endInTurn(_ session: TargetSession, discard: Bool = false) {
    try? turns.take([session.source], within: context.budgets.turnTime) { () throws(ReplError) in
      guard sessions[session.source] === session else { return }
      try end(session, discard: discard)
    }
  }

  /// Idempotent. With `discard` what was shipped goes, a prepared member among it, as long as its group is not committed.
  func abort(_ session: TargetSession, discard: Bool) throws(ReplError) {
    try turns.take([session.source], within: context.budgets.turnTime) { () throws(ReplError) in
      guard sessions[session.source] === session else { return }
      try end(session, discard: discard)
      if discard { try discardPrepared(session) }
      log.aborted(session, discard: discard)
    }
  }

  /// The record goes first: staging that is sealed and has none is thrown away by the next begin.
  private func discardPrepared(_ session: TargetSession) throws(ReplError) {
    let isOurs = try context.database.write { database in
      let found = try PreparedRecord.find(
        database, cluster: session.peer, volume: session.source.volume)
      guard let found, found.seal.point == session.begin.snapshot else { return false }
      try found.delete(database)
      return true
    }
    if isOurs { try session.store.discardStaging(of: session.source) }
  }
}
