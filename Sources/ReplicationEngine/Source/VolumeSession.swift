import BlockDiff
import ReplModel
import WireProtocol

/// One volume of a run, from begin to prepared. Used by one thread; an attempt that the network broke is made again and
/// resumes at the target.
struct VolumeSession {
  let context: SourceContext
  let link: any PeerLink
  let volume: VolumeRecord
  let snapshot: SnapshotRecord
  let session: SessionID
  private var kind: SessionKind
  /// Why the whole volume is copied; empty when it is not.
  let fullReason: String
  let group: GroupID
  let members: [GroupMember]
  let acceptShrink: Bool
  let key: FingerprintKey
  let progress: MemberProgress

  /// How the session ended at the target.
  enum Outcome: Sendable {
    case prepared(Seal)
    case sealed(Seal)

    var seal: Seal {
      switch self {
      case .prepared(let seal), .sealed(let seal): seal
      }
    }
  }

  /// Whether the run was begun by a version that did not record the seals it sent.
  var isOfEarlierVersion = false
  /// Why, if everything is copied: for the count of such copies.
  var fullCopy = EngineMetrics.FullCopy.noBase
  /// Makes what is known of the session's progress durable: when its plan is made, when everything is shipped and when
  /// it is prepared, so that a run taken up again by a later process reports what was done before.
  var record: @Sendable () throws(ReplError) -> Void = {}
  private var isFullCopyCounted = false
  private var sendKey = false
  private var watch: (any StillnessWatch)?
  private var bases: [PointID: SnapshotRecord] = [:]
  /// The twin that the plan of this attempt builds on.
  private var reading: BaseReading?
  /// The seal that was sent to be proven last, in this life of the run or one before; recorded before it was sent.
  private var sentSeal: Seal?
  /// Why the session does other than was foreseen: what is lost of the twins, or has no room.
  private var losses: [String] = []

  init(
    context: SourceContext, link: any PeerLink, volume: VolumeRecord, snapshot: SnapshotRecord, session: SessionID,
    kind: SessionKind, fullReason: String, group: GroupID, members: [GroupMember], acceptShrink: Bool,
    key: FingerprintKey, progress: MemberProgress
  ) {
    self.context = context
    self.link = link
    self.volume = volume
    self.snapshot = snapshot
    self.session = session
    self.kind = kind
    self.fullReason = fullReason
    self.group = group
    self.members = members
    self.acceptShrink = acceptShrink
    self.key = key
    self.progress = progress
    sentSeal = snapshot.seal
  }

  /// Ships and proves the snapshot. Transient failures are tried again with growing pauses while there is progress.
  mutating func run() throws(ReplError) -> Outcome {
    defer { watch?.end() }
    var patience = Patience(clock: context.clock)
    while true {
      do throws(ReplError) {
        return try attempt()
      } catch {
        if error.kind == .keyNeeded, !sendKey {
          sendKey = true
          continue
        }
        // Each time there is one twin less to build on: this ends.
        if try giveUpBase() { continue }
        if postponesFull(error) { continue }
        let counts = progress.ship.snapshot
        guard isPassing(error), patience.mayTryAgain(done: counts.durable.addingSaturating(counts.proven)) else {
          throw error
        }
        progress.update { $0.reason = "waiting to try again: \(error)" }
        try pause(patience.nextPause())
      }
    }
  }

  /// A connection that was closed on this side and not by us is a cut one.
  private func isPassing(_ error: ReplError) -> Bool {
    error.kind == .transient || (error.kind == .cancelled && !progress.ship.isCancelled)
  }

  /// Whether it was the base that could not be read: then the session goes on with what is left of it, or another one.
  private mutating func giveUpBase() throws(ReplError) -> Bool {
    guard let failed = reading else { return false }
    // Once: an attempt that ends before it has chosen a base again has none to give up.
    reading = nil
    guard let loss = try TwinCheck(context: context).giveUp(failed, of: volume) else { return false }
    losses.append(loss)
    return true
  }

  /// A full copy that is only due by the count gives way to a delta where it has no room.
  private mutating func postponesFull(_ error: ReplError) -> Bool {
    guard error.kind == .noSpace, kind == .full, fullCopy == .seventh else { return false }
    (kind, fullCopy) = (.delta, .noBase)
    losses.append("the full copy that is due has no room at \(link.cluster): \(error)")
    return true
  }

  private func pause(_ seconds: Double) throws(ReplError) {
    var rest = seconds
    while rest > 0 {
      try checkWaiting()
      context.clock.sleep(seconds: min(rest, 0.2))
      rest -= 0.2
    }
  }

  private mutating func attempt() throws(ReplError) -> Outcome {
    reading = nil
    try checkCancelled()
    progress.enter(.begin)
    // A session that waits to try again, or for a proof, has no place: the others go on.
    let result = try context.places.withPlace(for: group, check: checkWaiting) { () throws(ReplError) in
      try shipped()
    }
    let outcome = try proven(result)
    try record()
    return outcome
  }

  private mutating func proven(_ shipped: Shipped) throws(ReplError) -> Outcome {
    switch shipped {
    case .held(let outcome):
      SnapshotKeeper(context: context).removeWork(of: snapshot)
      return outcome
    case .proving(let seal):
      let outcome = try attach(seal)
      SnapshotKeeper(context: context).removeWork(of: snapshot)
      return outcome
    case .whole(let seal, let plan, let image, let reply):
      defer {
        plan.close()
        if watch == nil { try? image.close() }
      }
      let outcome = try prove(seal, plan, image, reply)
      plan.sums.forget()
      return outcome
    }
  }

  /// What an attempt came to before the proof.
  private enum Shipped {
    case held(Outcome)
    /// An earlier connection or life of the run has sent all of it.
    case proving(Seal)
    case whole(Seal, SessionPlan, any StorageFile, BeginReply)
  }

  private func checkCancelled() throws(ReplError) {
    guard progress.ship.isCancelled else { return }
    throw ReplError(.cancelled, subject: volume.label, cause: "the run was cancelled")
  }

  /// Looked at while waiting: a process that wants to write waits for us until we look.
  private func checkWaiting() throws(ReplError) {
    try checkCancelled()
    try watch?.check()
  }

  private mutating func shipped() throws(ReplError) -> Shipped {
    let reply = try begin()
    if let held = try heldAlready(reply) { return .held(held) }
    if case .proving(let seal) = reply.outcome { return .proving(seal) }
    progress.enter(.plan)
    let image = try openImage()
    do throws(ReplError) {
      return try ship(image, reply)
    } catch {
      if watch == nil { try? image.close() }
      throw error
    }
  }

  private mutating func ship(_ image: any StorageFile, _ reply: BeginReply) throws(ReplError) -> Shipped {
    try requireSize(image)
    let plan = try makePlan(reply.outcome, image)
    do throws(ReplError) {
      return .whole(try shipAndRecord(plan, image, reply), plan, image, reply)
    } catch {
      plan.close()
      throw error
    }
  }

  private mutating func shipAndRecord(
    _ plan: SessionPlan, _ image: any StorageFile, _ reply: BeginReply
  ) throws(ReplError) -> Seal {
    try record()
    if plan.kind == .full, !isFullCopyCounted {
      isFullCopyCounted = true
      context.metrics.fullCopy(fullCopy)
    }
    let seal = try shipWhole(plan, image, reply)
    // Before it is sent: a later life of the run knows what is being proven, and need not read everything again.
    try context.database.write { try SnapshotRecord.setSeal($0, snapshot.point, seal) }
    sentSeal = seal
    try record()
    return seal
  }

  /// What the target has of an earlier life of the session.
  private func heldAlready(_ reply: BeginReply) throws(ReplError) -> Outcome? {
    let outcome: Outcome
    switch reply.outcome {
    case .alreadySealed(let seal): outcome = .sealed(seal)
    case .prepared(let seal): outcome = .prepared(seal)
    case .base, .compareWith, .full, .proving: return nil
    }
    if sentSeal == nil, isOfEarlierVersion, case .prepared = reply.outcome { throw shipAgain() }
    try PeerAnswers(peer: link.cluster).check(claimed: outcome.seal, sent: sentSeal, point: snapshot.point)
    progress.ship.complete()
    return outcome
  }

  /// An earlier version did not record what it sent to be sealed: what the target says that it holds cannot be compared with
  /// it, and is thrown away.
  private func shipAgain() -> ReplError {
    _ = try? link.request(
      .abortSession(AbortSession(session: session, discard: true)), timeout: RequestTimeout.short)
    return ReplError(
      .transient, subject: volume.label, cause: "an earlier version of this agent had it proven at \(link.cluster)",
      remedy: "it is shipped again")
  }

  /// The target proves what an earlier connection or life of the run has sent: its answer is waited for.
  private func attach(_ seal: Seal) throws(ReplError) -> Outcome {
    guard sentSeal == seal else {
      _ = try? link.request(
        .abortSession(AbortSession(session: session, discard: true)), timeout: RequestTimeout.short)
      throw ReplError(
        .transient, subject: volume.label, cause: "\(link.cluster) was proving a seal that is not known here",
        remedy: "it is shipped again")
    }
    progress.enter(.seal)
    switch try sealReply(seal) {
    case .prepared:
      progress.ship.complete()
      return .prepared(seal)
    case .mismatch(_, final: true): throw mismatch(seal)
    case .mismatch(_, final: false):
      SnapshotSums.forget(in: snapshot.directory, context.storage)
      throw ReplError(
        .transient, subject: volume.label, cause: "the target's fingerprint of point \(seal.point) differs",
        remedy: "it is shipped once more")
    }
  }

  private mutating func begin() throws(ReplError) -> BeginReply {
    let records = try context.database.read { try SnapshotRecord.all($0, volume: volume.id, peer: link.cluster) }
    var held = records.filter { $0.point != snapshot.point && $0.seal != nil && $0.state != .taken }
    if kind != .full {
      let found = try TwinCheck(context: context).run(held, of: volume)
      held = found.held
      losses += found.losses
      progress.note(losses.joined(separator: "; "))
    }
    bases = Dictionary(held.map { ($0.point, $0) }, uniquingKeysWith: { first, _ in first })
    let candidates = held.prefix(BeginSession.candidateLimit).compactMap { record in
      record.seal.map { BaseCandidate(point: record.point, fingerprint: $0.fingerprint, sumsOnly: !record.hasImage) }
    }
    // A size below that of a twin was accepted when its first snapshot was taken.
    let isAccepted = acceptShrink || held.contains { $0.size > snapshot.size }
    let request = BeginSession(
      session: session, volume: volume.id, namespace: volume.namespace, name: volume.name, lineage: volume.lineage,
      key: sendKey ? key : nil, branch: volume.branch, snapshot: snapshot.point, generation: snapshot.generation,
      size: snapshot.size, takenAt: snapshot.takenAt, consistency: snapshot.consistency, kind: kind,
      candidates: kind == .full ? [] : candidates, group: group, members: members, acceptShrink: isAccepted,
      streams: UInt16(clamping: context.configuration.effectiveStreams))
    let reply = try askInPlace(.beginSession(request)) { if case .beginSession(let reply) = $0 { reply } else { nil } }
    try PeerAnswers(peer: link.cluster).check(reply, to: request)
    return reply
  }

  /// Asks while the session has one of the places of all runs: a pool that hangs at the target must not keep it from
  /// others, so the session lets go of it soon and tries again.
  private func askInPlace<Reply>(
    _ request: ControlRequest, _ pick: (ControlReply) -> Reply?
  ) throws(ReplError) -> Reply {
    try link.ask(
      request, standing: RequestTimeout.standingAnswersInPlace,
      underWay: { (_) throws(ReplError) in try checkCancelled() }, pick)
  }

  private mutating func openImage() throws(ReplError) -> any StorageFile {
    if snapshot.hasImage { return try context.storage.open(snapshot.imagePath, .read) }
    if let watch { return watch.file }
    let watch = try context.live.watch(volume)
    self.watch = watch
    try VolumeRecognition(context: context).requireSame(volume, watch.file)
    return watch.file
  }

  /// What lies behind the end of a file reads as a hole, so nothing would tell that it was never read.
  private func requireSize(_ image: any StorageFile) throws(ReplError) {
    let size = try image.size()
    let isFuzzyAndLonger = snapshot.consistency == .fuzzy && size > snapshot.size
    guard size != snapshot.size, !isFuzzyAndLonger else { return }
    guard !snapshot.hasImage else {
      throw ReplError(
        .damaged, subject: snapshot.imagePath,
        cause: "has \(size) bytes, \(snapshot.size) were recorded with the snapshot",
        remedy: "the snapshot is taken anew")
    }
    throw ReplError(
      .noPointInTime, subject: volume.label,
      cause: "cannot take a point in time: its size was \(snapshot.size) bytes when the run began and is \(size) now",
      remedy: "migrate again when nobody changes its size")
  }

  private mutating func makePlan(_ outcome: BeginOutcome, _ image: any StorageFile) throws(ReplError) -> SessionPlan {
    let maker = PlanMaker(
      context: context, link: link, volume: volume, snapshot: snapshot, key: key, image: image,
      check: { [self] () throws(ReplError) in try checkWaiting() })
    let plan: SessionPlan
    switch outcome {
    case .base(let point):
      guard let base = bases[point] else {
        throw ReplError(
          .protocolViolation, subject: "peer \(link.cluster)", cause: "chose base \(point), which was not offered")
      }
      let reading = BaseReading(twin: base)
      self.reading = reading
      plan = try maker.delta(reading)
    case .compareWith(let point): plan = try maker.compare(point)
    case .full(let reason): plan = try maker.full(reason: fullReason.isEmpty ? reason : fullReason)
    case .alreadySealed, .prepared, .proving:
      throw ReplError(.bug, subject: volume.label, cause: "nothing is left to plan")
    }
    progress.update {
      $0.changeSource = plan.changeSource
      $0.fullReason = plan.kind == .delta ? "" : ([plan.reason] + losses).joined(separator: "; ")
      $0.stallMilliseconds = Double(snapshot.stallNanoseconds) / 1e6
    }
    progress.ship.restart(planned: plan.plannedBytes)
    return plan
  }

  private func shipWhole(
    _ plan: SessionPlan, _ image: any StorageFile, _ reply: BeginReply
  ) throws(ReplError) -> Seal {
    let start = StartSession(
      session: session, base: plan.base, kind: plan.kind, planDigest: plan.digest,
      plannedBytes: plan.plannedBytes, dataBytes: plan.dataBytes)
    let started = try askInPlace(.startSession(start)) { if case .startSession(let reply) = $0 { reply } else { nil } }
    progress.ship.note(durable: started.durableBytes)
    progress.enter(.ship)
    let durable = started.durableBytes > 0 ? ResumeStream(link: link, session: session, size: snapshot.size) : nil
    let shipper = ChunkShipper(
      image: image, mode: plan.mode, volumeSize: snapshot.size, maxChunk: min(reply.maxChunk, link.maxChunk), key: key,
      cursor: try plan.cursor(durable: durable), sums: plan.sumsToTake, progress: progress.ship,
      pace: context.pace, still: still)
    try ship(shipper, reply, isEmpty: plan.plannedBytes == 0)
    let sum = try plan.baseSum + shipper.finishSums()
    try watch?.finish()
    // A volume that need not hold still must not have become smaller either.
    if !snapshot.hasImage {
      try requireSize(image)
      try VolumeRecognition(context: context).requireStillSame(volume, plan.sums.table)
    }
    try plan.sums.table.synchronize()
    try context.storage.synchronizeDirectory(snapshot.directory)
    return seal(sum, plan)
  }

  /// Looked at before each segment: whether the source holds still.
  private var still: @Sendable () throws(ReplError) -> Void {
    { [watch] () throws(ReplError) in try watch?.check() }
  }

  /// Runs the shipper over the data streams granted; an empty plan needs none.
  private func ship(_ shipper: ChunkShipper, _ reply: BeginReply, isEmpty: Bool) throws(ReplError) {
    guard !isEmpty else { return }
    guard !reply.tickets.isEmpty else {
      throw ReplError(.protocolViolation, subject: "peer \(link.cluster)", cause: "granted no data stream")
    }
    let tickets = Array(reply.tickets.prefix(context.configuration.effectiveStreams))
    let stream = StreamJob(
      link: link, session: session, reply: reply, tickets: tickets, shipper: shipper, progress: progress)
    try context.streams.ship(upTo: tickets.count) { (count) throws(ReplError) in
      try context.threads.runAll(count, limit: count) { (index) throws(ReplError) in try stream.run(index) }
    }
  }

  /// The work of one stream's thread.
  private struct StreamJob: Sendable {
    let link: any PeerLink
    let session: SessionID
    let reply: BeginReply
    let tickets: [StreamTicket]
    let shipper: ChunkShipper
    let progress: MemberProgress

    func run(_ index: Int) throws(ReplError) {
      let stream = try link.openStream(reply, session: session, ticket: tickets[index])
      progress.ship.begin(stream)
      defer {
        progress.ship.end(stream)
        stream.cancel()
      }
      try shipper.run(stream)
    }
  }

  private func seal(_ sum: BlockSum, _ plan: SessionPlan) -> Seal {
    Seal(
      point: snapshot.point, volume: volume.id, lineage: volume.lineage, branch: volume.branch, base: plan.sealBase,
      generation: snapshot.generation, size: snapshot.size, fingerprint: sum.fingerprint,
      nonZeroBlocks: sum.nonZeroBlocks, takenAt: snapshot.takenAt, consistency: snapshot.consistency,
      proof: plan.sealBase == nil ? .full : .delta, group: group, members: members)
  }

  /// Has the target prove the seal; segments that differ are shipped once more, a second mismatch ends the session.
  private func prove(
    _ seal: Seal, _ plan: SessionPlan, _ image: any StorageFile, _ reply: BeginReply
  ) throws(ReplError) -> Outcome {
    progress.enter(.seal)
    switch try sealReply(seal) {
    case .prepared: return .prepared(seal)
    case .mismatch(_, final: true): throw mismatch(seal)
    case .mismatch(let sums, final: false):
      // It may be ours that are wrong: should this be cut, the next attempt takes all of them anew.
      plan.sums.forget()
      let differing = try SegmentDifference.find(sums, in: plan.sums.table)
      context.events.post(
        namespace: volume.namespace, volume: volume.name, warning: true, "SealMismatch",
        "the target's fingerprint of point \(snapshot.point) differs; shipping \(differing.count) segments once more")
      try reship(differing, plan, image)
    }
    guard case .prepared = try sealReply(seal) else { throw mismatch(seal) }
    return .prepared(seal)
  }

  private func sealReply(_ seal: Seal) throws(ReplError) -> SealReply {
    var before: UInt64 = 0
    return try link.ask(
      .sealSession(SealSession(session: session, seal: seal)),
      underWay: { (now) throws(ReplError) in
        // It goes on without us; but a run that was cancelled waits for nothing.
        try checkCancelled()
        if now.bytesDone > before { progress.ship.add(proven: now.bytesDone - before) }
        before = max(before, now.bytesDone)
      },
      { if case .sealSession(let reply) = $0 { reply } else { nil } })
  }

  /// Tickets are single use: the streams of the second round need new ones, which a begin of the same session gives.
  private func reship(_ segments: [UInt64], _ plan: SessionPlan, _ image: any StorageFile) throws(ReplError) {
    let path = snapshot.directory + "/reship"
    try PlanMaker.planSegments(segments, volumeSize: snapshot.size, to: path, context.storage)
    defer { try? context.storage.removeFile(path) }
    try context.places.withPlace(for: group, check: checkWaiting) { () throws(ReplError) in
      var again = self
      let reply = try again.begin()
      let shipper = ChunkShipper(
        image: image, mode: .knownSums, volumeSize: snapshot.size, maxChunk: min(reply.maxChunk, link.maxChunk),
        key: key, cursor: WorkItemCursor(try PlanReader(path, storage: context.storage)), sums: nil,
        progress: progress.ship, pace: context.pace, still: still)
      try ship(shipper, reply, isEmpty: segments.isEmpty)
    }
    try watch?.finish()
    if !snapshot.hasImage { try VolumeRecognition(context: context).requireStillSame(volume, plan.sums.table) }
  }

  private func mismatch(_ seal: Seal) -> ReplError {
    ReplError(
      .damaged, subject: volume.label,
      cause: "the target's fingerprint of point \(seal.point) did not match twice; its staging was discarded",
      remedy: "the next session copies the whole volume; check both sites' memory and disks")
  }
}
