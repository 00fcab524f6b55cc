import BlockDiff
import ReplModel
import WireProtocol

/// What is done of a volume in a run.
struct MemberTask: Sendable {
  var volume: VolumeRecord
  var snapshot: SnapshotRecord
  var session: SessionID
  var kind: SessionKind
  /// Why the whole volume is copied; empty when it is not.
  var fullReason: String
  /// Why, for the count of such copies.
  var fullCopy: EngineMetrics.FullCopy
  var key: FingerprintKey
  var progress: MemberProgress
}

/// What the members of a run have in common.
struct MemberGroup: Sendable {
  var id: GroupID
  /// Ascending by volume id.
  var members: [GroupMember]
  var acceptShrink: Bool
  /// Whether the run was begun by a version that did not record the seals it sent.
  var isOfEarlierVersion: Bool
}

/// One volume of a run, from begin to prepared: does what its ``SenderSession`` says. Used by one thread; an attempt that
/// the network broke is made again and resumes at the target.
struct VolumeSession {
  let context: SourceContext
  let link: any PeerLink
  let task: MemberTask
  let group: MemberGroup
  /// Makes what is known of the session's progress durable: when its plan is made, when everything is shipped and when
  /// it is prepared, so that a run taken up again by a later process reports what was done before.
  let record: @Sendable () throws(ReplError) -> Void
  private var machine: SenderSession
  private var isFullCopyCounted = false
  private var watch: (any StillnessWatch)?
  private var bases: [PointID: SnapshotRecord] = [:]
  /// What the target was asked to begin, and how it answered.
  private var begun: (request: BeginSession, reply: BeginReply)?
  /// What is being shipped, and proven from then on.
  private var shipment: Shipment?
  /// The twin that the plan of this attempt builds on.
  private var reading: BaseReading?
  /// Why the session does other than was foreseen: what is lost of the twins, or has no room.
  private var losses: [String] = []

  private struct Shipment {
    let plan: SessionPlan
    let image: any StorageFile
  }

  private var volume: VolumeRecord { task.volume }
  private var snapshot: SnapshotRecord { task.snapshot }
  private var progress: MemberProgress { task.progress }

  init(
    context: SourceContext, link: any PeerLink, task: MemberTask, group: MemberGroup,
    record: @escaping @Sendable () throws(ReplError) -> Void
  ) {
    self.context = context
    self.link = link
    self.task = task
    self.group = group
    self.record = record
    machine = SenderSession(
      point: task.snapshot.point, kind: task.kind, sent: task.snapshot.seal, mayPostpone: task.fullCopy == .seventh,
      isOfEarlierVersion: group.isOfEarlierVersion, volume: task.volume.label, peer: link.cluster)
  }

  /// Ships and proves the snapshot. Transient failures are tried again with growing pauses while there is progress.
  mutating func run() throws(ReplError) -> SenderSession.Held {
    defer { watch?.end() }
    var patience = Patience(clock: context.clock)
    while true {
      do throws(ReplError) {
        return try attempt()
      } catch {
        // Each time there is one twin less to build on: this ends.
        let isBaseLost = error.kind == .keyNeeded ? false : try giveUpBase()
        switch machine.failed(error, isBaseLost: isBaseLost, isCancelled: progress.ship.isCancelled) {
        case .again: continue
        case .againAsDelta: losses.append("the full copy that is due has no room at \(link.cluster): \(error)")
        case .later:
          let counts = progress.ship.snapshot
          guard patience.mayTryAgain(done: counts.durable.addingSaturating(counts.proven)) else { throw error }
          progress.update { $0.reason = "waiting to try again: \(error)" }
          try pause(patience.nextPause())
        case .none: throw error
        }
      }
    }
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

  private func pause(_ seconds: Double) throws(ReplError) {
    var rest = seconds
    while rest > 0 {
      try checkWaiting()
      context.clock.sleep(seconds: min(rest, 0.2))
      rest -= 0.2
    }
  }

  private mutating func attempt() throws(ReplError) -> SenderSession.Held {
    reading = nil
    defer { closeShipment() }
    try checkCancelled()
    progress.enter(.begin)
    // A session that waits to try again, or for a proof, has no place: the others go on.
    try context.places.withPlace(for: group.id, check: checkWaiting) { () throws(ReplError) in try ship() }
    while true {
      switch machine.step {
      case .begin, .ship: throw ReplError(.bug, subject: volume.label, cause: "its session has not been shipped")
      case .prove(let seal): try prove(seal)
      case .reship(let seal, let sums):
        try reship(sums)
        machine.shipped(seal)
      case .discard(let error):
        discard()
        throw error
      case .finished(let held):
        try finish()
        return held
      }
    }
  }

  /// What is done while the session has a place: begin, and what the target has not got yet.
  private mutating func ship() throws(ReplError) {
    try machine.begun(try begin().outcome)
    guard case .ship(let outcome) = machine.step else { return }
    progress.enter(.plan)
    let image = try openImage()
    do throws(ReplError) {
      try requireSize(image)
      shipment = Shipment(plan: try makePlan(outcome, image), image: image)
    } catch {
      if watch == nil { try? image.close() }
      throw error
    }
    machine.shipped(try shipAndRecord())
  }

  private mutating func closeShipment() {
    guard let open = shipment else { return }
    open.plan.close()
    if watch == nil { try? open.image.close() }
    shipment = nil
  }

  /// The target holds the point, proven: what helped to ship it is not needed any more.
  private func finish() throws(ReplError) {
    if let shipment {
      shipment.plan.sums.forget()
    } else {
      progress.ship.complete()
      SnapshotKeeper(context: context).removeWork(of: snapshot)
    }
    try record()
  }

  private func discard() {
    _ = try? link.request(
      .abortSession(AbortSession(session: task.session, discard: true)), timeout: RequestTimeout.short)
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

  private mutating func shipAndRecord() throws(ReplError) -> Seal {
    guard let shipment, let reply = begun?.reply else {
      throw ReplError(.bug, subject: volume.label, cause: "there is nothing to ship")
    }
    try record()
    if shipment.plan.kind == .full, !isFullCopyCounted {
      isFullCopyCounted = true
      context.metrics.fullCopy(machine.kind == .full ? task.fullCopy : .noBase)
    }
    let seal = try shipWhole(shipment.plan, shipment.image, reply)
    // Before it is sent: a later life of the run knows what is being proven, and need not read everything again.
    try context.database.write { try SnapshotRecord.setSeal($0, snapshot.point, seal) }
    try record()
    return seal
  }

  private mutating func begin() throws(ReplError) -> BeginReply {
    let records = try context.database.read { try SnapshotRecord.all($0, volume: volume.id, peer: link.cluster) }
    var held = records.filter { $0.point != snapshot.point && $0.seal != nil && $0.state != .taken }
    if machine.kind != .full {
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
    let isAccepted = group.acceptShrink || held.contains { $0.size > snapshot.size }
    let request = BeginSession(
      session: task.session, volume: volume.id, namespace: volume.namespace, name: volume.name, lineage: volume.lineage,
      key: machine.sendsKey ? task.key : nil, branch: volume.branch, snapshot: snapshot.point,
      generation: snapshot.generation,
      size: snapshot.size, takenAt: snapshot.takenAt, consistency: snapshot.consistency, kind: machine.kind,
      candidates: machine.kind == .full ? [] : candidates, group: group.id, members: group.members,
      acceptShrink: isAccepted,
      streams: UInt16(clamping: context.configuration.effectiveStreams))
    let reply = try begin(request)
    begun = (request, reply)
    return reply
  }

  private func begin(_ request: BeginSession) throws(ReplError) -> BeginReply {
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
      context: context, link: link, volume: volume, snapshot: snapshot, key: task.key, image: image,
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
    case .full(let reason): plan = try maker.full(reason: task.fullReason.isEmpty ? reason : task.fullReason)
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
      session: task.session, base: plan.base, kind: plan.kind, planDigest: plan.digest,
      plannedBytes: plan.plannedBytes, dataBytes: plan.dataBytes)
    let started = try askInPlace(.startSession(start)) { if case .startSession(let reply) = $0 { reply } else { nil } }
    progress.ship.note(durable: started.durableBytes)
    progress.enter(.ship)
    let durable = started.durableBytes > 0 ? ResumeStream(link: link, session: task.session, size: snapshot.size) : nil
    let shipper = ChunkShipper(
      image: image, mode: plan.mode, volumeSize: snapshot.size, maxChunk: min(reply.maxChunk, link.maxChunk),
      key: task.key, cursor: try plan.cursor(durable: durable), sums: plan.sumsToTake, progress: progress.ship,
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
      link: link, session: task.session, reply: reply, tickets: tickets, shipper: shipper, progress: progress)
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
      proof: plan.sealBase == nil ? .full : .delta, group: group.id, members: group.members)
  }

  /// Has the target prove the seal, or waits for the proof that an earlier connection or life of the run has asked for.
  private mutating func prove(_ seal: Seal) throws(ReplError) {
    progress.enter(.seal)
    let reply = try sealReply(seal)
    if case .mismatch(_, final: false) = reply {
      // It may be ours that are wrong: should this be cut, the next attempt takes all of them anew.
      if let shipment {
        shipment.plan.sums.forget()
      } else {
        SnapshotSums.forget(in: snapshot.directory, context.storage)
      }
    }
    try machine.answered(reply)
  }

  private func sealReply(_ seal: Seal) throws(ReplError) -> SealReply {
    var before: UInt64 = 0
    return try link.ask(
      .sealSession(SealSession(session: task.session, seal: seal)),
      underWay: { (now) throws(ReplError) in
        // It goes on without us; but a run that was cancelled waits for nothing.
        try checkCancelled()
        if now.bytesDone > before { progress.ship.add(proven: now.bytesDone - before) }
        before = max(before, now.bytesDone)
      },
      { if case .sealSession(let reply) = $0 { reply } else { nil } })
  }

  /// Tickets are single use: the streams of the second round need new ones, which a begin of the same session gives.
  private func reship(_ sums: [SegmentSum]) throws(ReplError) {
    guard let shipment, let request = begun?.request else {
      throw ReplError(.bug, subject: volume.label, cause: "there is nothing to ship once more")
    }
    let segments = try SegmentDifference.find(sums, in: shipment.plan.sums.table)
    context.events.post(
      namespace: volume.namespace, volume: volume.name, warning: true, "SealMismatch",
      "the target's fingerprint of point \(snapshot.point) differs; shipping \(segments.count) segments once more")
    let path = snapshot.directory + "/reship"
    try PlanMaker.planSegments(segments, volumeSize: snapshot.size, to: path, context.storage)
    defer { try? context.storage.removeFile(path) }
    try context.places.withPlace(for: group.id, check: checkWaiting) { () throws(ReplError) in
      let reply = try begin(request)
      let shipper = ChunkShipper(
        image: shipment.image, mode: .knownSums, volumeSize: snapshot.size,
        maxChunk: min(reply.maxChunk, link.maxChunk),
        key: task.key, cursor: WorkItemCursor(try PlanReader(path, storage: context.storage)), sums: nil,
        progress: progress.ship, pace: context.pace, still: still)
      try ship(shipper, reply, isEmpty: segments.isEmpty)
    }
    try watch?.finish()
    if !snapshot.hasImage {
      try VolumeRecognition(context: context).requireStillSame(volume, shipment.plan.sums.table)
    }
  }
}
