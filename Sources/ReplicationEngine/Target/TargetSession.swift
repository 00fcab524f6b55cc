import AgentService
import BlockDiff
import ReplModel
import Synchronization
import WireProtocol
import Threads

/// What both ends of a control connection agreed on for the data streams of their sessions.
struct StreamAgreement: Hashable, Sendable {
  /// Bytes of raw data.
  var maxChunk: UInt32 = WireLimits.chunkSizes.upperBound
  /// Bit n is the codec with raw value n.
  var codecs: UInt32 = 0b11
}

/// The target's end of one session: what was begun, the staging area or the point being repaired, and the streams that
/// write into it. The order of messages is that of ``ReceiverSession``.
///
/// What opens and closes files (``start(_:)``, ``retire(discard:)``, ``beginAgain(_:)``) is called by whoever has the
/// volume's turn. A proof runs outside of it: until it has ended nobody else touches the files.
final class TargetSession: Sendable {
  struct State {
    var order: ReceiverSession
    var staging: StagingArea?
    var repair: RepairSlot?
    /// The base when staging was opened on it.
    var base: CatalogPoint?
    /// Counts the begins of this session: streams of an earlier one are over.
    var round = 0
    var isEnded = false
    var discardsAtEnd = false
    var streams: [ObjectIdentifier: TargetStream] = [:]
    /// Staging areas that were made and not resumed.
    var stagingMade = 0
    /// The proof under way.
    var proof: Work?
    /// When it began, in seconds of the clock that never goes back.
    var proofBegan = 0.0
    /// How the last proof ended, until what it asks for begins.
    var verdict: (seal: Seal, reply: SealReply, isTold: Bool)?
  }

  let peer: String
  let source: SourceVolume
  let begin: BeginSession
  let outcome: BeginOutcome
  let volume: Replica
  let key: FingerprintKey
  let store: PointStore
  let agreement: StreamAgreement
  let context: TargetContext
  let rooms: RoomMaker
  let state: Locked<State>
  /// Whether a proof is under way: what a takeover waits for.
  let proving = Monitor(false)
  /// Bytes that were written since the pool was looked at.
  private let unlooked = Atomic<UInt64>(0)
  /// Bytes that came in, before compression; what came twice counts twice.
  private let received = Atomic<UInt64>(0)
  /// Whether an earlier life of the agent received a part of it.
  private let isContinued = Atomic<Bool>(false)
  /// When it was begun, in seconds of the clock that never goes back.
  let beganAt: Double

  init(
    peer: String, source: SourceVolume, begin: BeginSession, outcome: BeginOutcome, volume: Replica,
    key: FingerprintKey, store: PointStore, context: TargetContext, rooms: RoomMaker,
    agreement: StreamAgreement = StreamAgreement()
  ) {
    self.peer = peer
    self.source = source
    self.begin = begin
    self.outcome = outcome
    self.volume = volume
    self.key = key
    self.store = store
    self.context = context
    self.rooms = rooms
    self.agreement = agreement
    beganAt = context.clock.ticks()
    state = Locked(State(order: ReceiverSession(begin)))
  }

  var label: String { "session \(begin.session) of \(volume.label)" }
  var isRepair: Bool { begin.kind == .repair }

  /// The base as it was when staging was opened on it; nil without one.
  var base: CatalogPoint? { state.withLock { $0.base } }

  /// What a stream's ticket is good for.
  var grant: StreamTicketBook.Grant {
    StreamTicketBook.Grant(cluster: peer, session: begin.session, branch: volume.branch.id)
  }

  var openStreams: Int { state.withLock { $0.order.openStreams } }
  /// Whether a proof works on the files right now.
  var isProving: Bool { secondsProving != nil }
  /// How long a proof has worked on the files; nil while none does.
  var secondsProving: Double? {
    let now = context.clock.ticks()
    return state.withLock { $0.proof == nil ? nil : now - $0.proofBegan }
  }
  var isEnded: Bool { state.withLock { $0.isEnded } }
  /// Whether the answer to the last proof is still to be fetched.
  var hasVerdict: Bool { state.withLock { $0.verdict != nil } }

  /// Whether data of the session is still to come or to be proven.
  var isUnderWay: Bool {
    state.withLock { !$0.isEnded && [.begun, .streaming, .sealing, .repairing].contains($0.order.phase) }
  }

  var bytesReceived: UInt64 { received.load(ordering: .relaxed) }

  /// Whether all of what it brings was received since it was begun here: else counts and times are of a part.
  var isWhole: Bool {
    switch outcome {
    case .base, .compareWith, .full: !isContinued.load(ordering: .relaxed)
    case .alreadySealed, .prepared, .proving: false
    }
  }

  /// What people see of it.
  var report: InboundSession {
    let now = context.clock.ticks()
    let (phase, plan, proof) = state.withLock { ($0.order.phase, $0.order.plan, $0.proof?.progress) }
    let stage: InboundSession.Stage =
      switch phase {
      case .begun: .begun
      case .streaming, .repairing: isRepair ? .repairing : .receiving
      case .sealing: .proving
      default: .waiting
      }
    return InboundSession(
      cluster: peer, namespace: volume.namespace, volume: volume.name, stage: stage, bytesReceived: bytesReceived,
      bytesPlanned: plan?.dataBytes ?? 0, bytesProven: proof?.bytesDone ?? 0, bytesToProve: proof?.bytesTotal ?? 0,
      seconds: now - beganAt)
  }

  // MARK: Begin again

  /// The seal that is being proven, or whose proof has ended without anybody being told.
  var sealInProof: Seal? {
    state.withLock { state in
      if state.proof != nil || state.order.phase == .sealing { return state.order.seal }
      guard let verdict = state.verdict, case .mismatch = verdict.reply, !verdict.isTold, !state.isEnded else {
        return nil
      }
      return verdict.seal
    }
  }

  /// Takes the same begin again after the first mismatch, when staging and the mismatch must not be forgotten. False
  /// where a new session has to take this one's place.
  func beginAgain(_ begin: BeginSession) throws(ReplError) -> Bool {
    let (again, streams) = try state.withLock { (state) throws(ReplError) -> (StagingArea?, [TargetStream]) in
      guard !state.isEnded, state.order.nextMismatchIsFinal, let staging = state.staging, staging.failure == nil,
        staging.prepared == nil
      else { return (nil, []) }
      try state.order.accept(.begin(begin))
      state.round += 1
      state.verdict = nil
      defer { state.streams = [:] }
      return (staging, Array(state.streams.values))
    }
    guard let again else { return false }
    for stream in streams { stream.cut() }
    try again.fence()
    return true
  }

  // MARK: Streams

  /// Opens a stream, whose ticket has been taken.
  func attach(disconnect: @escaping @Sendable () -> Void) throws(ReplError) -> TargetStream {
    try state.withLock { (state) throws(ReplError) in
      let sink: TargetStream.Sink? =
        if let staging = state.staging { .staging(staging.makeWriter()) } else { state.repair.map { .repair($0) } }
      // After a restart of this agent, or a begin that made a new session of it, the source does not know yet.
      guard let sink, !state.isEnded else { throw ended }
      try state.order.accept(.streamOpened)
      state.verdict = nil
      let stream = TargetStream(session: self, sink: sink, round: state.round, disconnect: disconnect)
      state.streams[ObjectIdentifier(stream)] = stream
      return stream
    }
  }

  func streamClosed(_ stream: TargetStream, round: Int) {
    state.withLock { state in
      state.streams[ObjectIdentifier(stream)] = nil
      guard state.round == round else { return }
      try? state.order.accept(.streamLost)
    }
  }

  // MARK: Room

  /// Looks every 16 MiB whether the pool may still take what comes.
  func takeRoom(_ bytes: UInt64) throws(ReplError) {
    received.wrappingAdd(bytes, ordering: .relaxed)
    guard unlooked.wrappingAdd(bytes, ordering: .relaxed).newValue >= 16 << 20 else { return }
    // Of threads that see it at once, one looks.
    guard noteReceived() >= 16 << 20 else { return }
    try rooms.require(16 << 20, in: volume.pool, for: source, label: label)
  }

  /// Counts what was written and not looked at as the peer's; returns how much it was.
  @discardableResult
  func noteReceived() -> UInt64 {
    let received = unlooked.exchange(0, ordering: .relaxed)
    if received > 0 { rooms.noteReceived(received, in: volume.pool, from: peer) }
    return received
  }

  /// Runs a step in the pool, again after room was made for it.
  func withRoom<Value>(_ body: () throws(ReplError) -> Value) throws(ReplError) -> Value {
    try rooms.withRoom(in: volume.pool, for: source, body)
  }

  // MARK: Start

  /// Opens or resumes the staging area for exactly this plan; returns how many bytes need not be sent again. The same
  /// start again finds what the first has opened.
  func start(_ start: StartSession) throws(ReplError) -> UInt64 {
    try checkBase(start)
    let (open, before) = try state.withLock { (state) throws(ReplError) -> (StagingArea?, StartSession?) in
      if state.isEnded { throw ended }
      let before = state.order.plan
      let isRepeated = state.order.phase == .streaming && before == start && state.order.openStreams == 0
      if !isRepeated { try state.order.accept(.start(start)) }
      return (state.staging, isRepeated && !state.order.nextMismatchIsFinal ? nil : before)
    }
    if isRepair { return try startRepair() }
    if let open, open.failure == nil, open.identity == identity(start) {
      // After a mismatch what is staged cannot be relied on: all of the plan is sent again.
      return before == nil ? try open.durableByteCount() : 0
    }
    try open?.close()
    // Before the files are looked at: a repair in between makes it another image than the one recorded here.
    let base = try start.base.flatMap { (id) throws(ReplError) in
      try context.database.read { try CatalogPoint.find($0, source, id) }
    }
    guard start.base == nil || base != nil else { throw baseGone }
    let staging = try openStaging(start)
    let durable: UInt64
    do throws(ReplError) {
      durable = try staging.durableByteCount()
    } catch {
      // A ledger that cannot be read is found so by the next start, too, which makes a new one.
      try? staging.close()
      throw error
    }
    let isKept = state.withLock { state in
      guard !state.isEnded else { return false }
      state.staging = staging
      state.base = base
      return true
    }
    guard isKept else {
      try? staging.close()
      throw ended
    }
    if durable > 0 { isContinued.store(true, ordering: .relaxed) }
    try rooms.require(
      start.dataBytes - min(durable, start.dataBytes), in: volume.pool, for: source, label: volume.label)
    return durable
  }

  private func openStaging(_ start: StartSession) throws(ReplError) -> StagingArea {
    let staging: StagingArea
    do throws(ReplError) {
      staging = try withRoom { () throws(ReplError) in
        try StagingArea.open(identity(start), for: source, in: store, clock: context.elapsed)
      }
    } catch {
      // Retention may have taken it after its record was read.
      throw error.kind == .notFound && start.base != nil ? baseGone : error
    }
    if case .resumed = staging.origin { return staging }
    let made = state.withLock { state in
      state.stagingMade += 1
      return state.stagingMade
    }
    guard made > context.budgets.stagingPerSession else { return staging }
    try staging.close()
    throw ReplError(
      .refused, subject: label, cause: "was started with \(made) different plans", remedy: "begin another session")
  }

  private var baseGone: ReplError {
    ReplError(
      .transient, subject: label, cause: "its base has gone meanwhile", remedy: "begin it again: it goes on without")
  }

  private func startRepair() throws(ReplError) -> UInt64 {
    if state.withLock({ $0.repair != nil }) { return 0 }
    let point = try store.point(begin.snapshot, of: source)
    let slot = try withRoom { () throws(ReplError) in
      try RepairSlot(of: point, in: store, context: context, label: label)
    }
    let isKept = state.withLock { state in
      guard !state.isEnded else { return false }
      state.repair = slot
      return true
    }
    guard isKept else {
      slot.discard()
      throw ended
    }
    return 0
  }

  private func identity(_ start: StartSession) -> StagingIdentity {
    let kind: StagingIdentity.Kind =
      switch start.kind {
      case .delta: .delta
      case .compare: .comparison
      case .full, .repair: .full
      }
    return StagingIdentity(
      base: start.base, point: begin.snapshot, size: begin.size, planDigest: start.planDigest, kind: kind)
  }

  private func checkBase(_ start: StartSession) throws(ReplError) {
    let isAllowed =
      switch (start.kind, outcome) {
      case (.full, _): start.base == nil && !isRepair
      case (.delta, .base(let point)): start.base == point && !isRepair
      case (.compare, .compareWith(let point)): start.base == point
      case (.repair, .base(let point)): start.base == point && isRepair
      default: false
      }
    guard isAllowed else {
      throw ReplError(.protocolViolation, subject: label, cause: "was started against another base than the one agreed")
    }
  }

  /// One page of what is durable.
  func durablePage(from offset: UInt64) throws(ReplError) -> [Extent] {
    if isRepair { return [] }
    let staging = try started { (order) throws(ReplError) in try order.accept(.resumeExtents) }
    var stream = staging.durableExtents()
    var page: [Extent] = []
    while page.count < ResumeExtentsRequest.pageLimit, let extent = try stream.next() {
      guard extent.end > offset else { continue }
      page.append(extent.offset >= offset ? extent : Extent(from: offset, to: extent.end))
    }
    return page
  }

  private func started(
    _ admit: (inout ReceiverSession) throws(ReplError) -> Void
  ) throws(ReplError) -> StagingArea {
    let staging = try state.withLock { (state) throws(ReplError) -> StagingArea? in
      try admit(&state.order)
      return state.isEnded ? nil : state.staging
    }
    guard let staging else { throw ended }
    return staging
  }

  var ended: ReplError {
    ReplError(.transient, subject: label, cause: "has ended here", remedy: "begin it again: it resumes")
  }

  // MARK: End

  /// Ends the session and lets go of its files: streams are cut and shut out, a proof under way is given up, and only
  /// when nobody writes any more the files are closed. What is durable stays for a session that resumes. Called again
  /// after a failure, it goes on.
  ///
  /// - Parameter limit: longest wait for the proof, and for the writes.
  /// - Throws: `transient` while a write or the proof does not end: then the files are still this session's.
  func retire(discard: Bool = false, within limit: Duration = .seconds(30)) throws(ReplError) {
    let (streams, proof) = state.withLock { state -> ([TargetStream], Work?) in
      state.isEnded = true
      state.discardsAtEnd = state.discardsAtEnd || discard
      defer { state.streams = [:] }
      return (Array(state.streams.values), state.proof)
    }
    for stream in streams { stream.cut() }
    proof?.cancel()
    let ended: Void? = proving.wait(until: .after(limit)) { $0 ? nil : () }
    guard ended != nil else {
      throw ReplError(
        .transient, subject: label, cause: "is being proven", remedy: "try again when it is done")
    }
    try closeFiles(within: limit)
  }

  func closeFiles(within limit: Duration = .seconds(30)) throws(ReplError) {
    let (staging, repair, discards) = state.withLock { state -> (StagingArea?, RepairSlot?, Bool) in
      defer { state.repair = nil }
      return (state.staging, state.repair, state.discardsAtEnd)
    }
    repair?.discard()
    noteReceived()
    if let staging, staging.failure == nil, staging.prepared == nil {
      if discards {
        try? staging.discard()
      } else {
        try staging.fence(within: limit)
        try? staging.recordProgress()
        try staging.close()
      }
    }
    state.withLock { $0.staging = nil }
  }

  func noteStorageError(_ error: ReplError) { context.metrics.storageError(error) }

  /// Whether something written waits to be recorded.
  var hasUnrecorded: Bool {
    let staging = state.withLock { $0.isEnded || $0.order.phase == .sealing ? nil : $0.staging }
    return staging.map { $0.failure == nil && $0.unrecordedBytes > 0 } ?? false
  }

  /// Records progress when no chunk has come for a while.
  func tick() {
    let staging = state.withLock { $0.isEnded || $0.order.phase == .sealing ? nil : $0.staging }
    // What failed once stays failed, and was counted then.
    guard let staging, staging.failure == nil else { return }
    do throws(ReplError) { try staging.recordProgressIfDue() } catch { context.metrics.storageError(error) }
  }
}
