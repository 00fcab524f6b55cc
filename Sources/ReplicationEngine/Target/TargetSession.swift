import BlockDiff
import ReplModel
import Synchronization
import WireProtocol
import WireTransport

/// What both ends of a control connection agreed on for the data streams of their sessions.
struct StreamAgreement: Hashable, Sendable {
  /// Bytes of raw data.
  var maxChunk: UInt32 = WireLimits.chunkSizes.upperBound
  /// Bit n is the codec with raw value n.
  var codecs: UInt32 = 0b11
}

/// The target's end of one session: what was begun, the staging area or the point being repaired, and the streams that
/// write into it. The order of messages is that of ``ReceiverSession``.
final class TargetSession: Sendable {
  private struct State {
    var order: ReceiverSession
    var staging: StagingArea?
    var repair: RepairSlot?
    /// Counts the begins of this session: streams of an earlier one are over.
    var round = 0
    var isEnded = false
    var discardsAtEnd = false
  }

  let peer: String
  let source: SourceVolume
  let begin: BeginSession
  let outcome: BeginOutcome
  let volume: TargetVolumeRecord
  let key: FingerprintKey
  let store: PointStore
  let agreement: StreamAgreement
  private let context: TargetContext
  private let state: Mutex<State>
  private let isRecording = Atomic<Bool>(false)

  init(
    peer: String, source: SourceVolume, begin: BeginSession, outcome: BeginOutcome, volume: TargetVolumeRecord,
    key: FingerprintKey, store: PointStore, context: TargetContext, agreement: StreamAgreement = StreamAgreement()
  ) {
    self.peer = peer
    self.source = source
    self.begin = begin
    self.outcome = outcome
    self.volume = volume
    self.key = key
    self.store = store
    self.context = context
    self.agreement = agreement
    state = Mutex(State(order: ReceiverSession(begin)))
  }

  var label: String { "session \(begin.session) of \(volume.label)" }
  var isRepair: Bool { begin.kind == .repair }

  /// What a stream's ticket is good for.
  var grant: StreamTicketBook.Grant {
    StreamTicketBook.Grant(cluster: peer, session: begin.session, branch: volume.branch.id)
  }

  /// Whether the proof is being computed: nobody may touch the staging area meanwhile.
  var isSealing: Bool { state.withLock { $0.order.phase == .sealing } }

  /// Data streams that were attached and have not ended.
  var openStreams: Int { state.withLock { $0.order.openStreams } }

  var isEnded: Bool { state.withLock { $0.isEnded } }

  /// Whether data of the session is still to come or to be proven.
  var isUnderWay: Bool {
    state.withLock { !$0.isEnded && [.begun, .streaming, .sealing, .repairing].contains($0.order.phase) }
  }

  // MARK: Begin again

  /// Takes the same begin again after the first mismatch, when staging and the mismatch must not be forgotten. False
  /// where a new session has to take this one's place.
  func beginAgain(_ begin: BeginSession) throws(ReplError) -> Bool {
    try state.withLock { (state) throws(ReplError) in
      guard !state.isEnded, state.order.nextMismatchIsFinal, let staging = state.staging, staging.failure == nil,
        staging.prepared == nil
      else { return false }
      try state.order.accept(.begin(begin))
      state.round += 1
      return true
    }
  }

  // MARK: Streams

  /// Opens a stream, whose ticket has been taken.
  func attach() throws(ReplError) -> TargetStream {
    try state.withLock { (state) throws(ReplError) in
      let sink: TargetStream.Sink? =
        if let staging = state.staging { .staging(staging) } else { state.repair.map { .repair($0) } }
      guard let sink, !state.isEnded else {
        throw ReplError(.protocolViolation, subject: label, cause: "a stream came before the session was started")
      }
      try state.order.accept(.streamOpened)
      return TargetStream(session: self, sink: sink, round: state.round)
    }
  }

  /// Throws for a stream that was opened before the session was begun again.
  func check(round: Int) throws(ReplError) {
    guard state.withLock({ $0.round == round && !$0.isEnded }) else {
      throw ReplError(.transient, subject: label, cause: "the session was begun again, or has ended")
    }
  }

  func streamClosed(round: Int) {
    state.withLock { state in
      guard state.round == round else { return }
      try? state.order.accept(.streamLost)
    }
  }

  // MARK: Start

  /// Opens or resumes the staging area for exactly this plan; returns how many bytes need not be sent again.
  func start(_ start: StartSession) throws(ReplError) -> UInt64 {
    try checkBase(start)
    let open = try state.withLock { (state) throws(ReplError) -> (StagingArea?, StartSession?) in
      if state.isEnded { throw ended }
      let before = state.order.plan
      try state.order.accept(.start(start))
      return (state.staging, before)
    }
    if isRepair { return try startRepair() }
    // After a mismatch what is staged cannot be relied on: all of the plan is sent again.
    if let staging = open.0, open.1 == nil || open.1 == start, staging.identity == identity(start) { return 0 }
    try? open.0?.close()
    let staging = try StagingArea.open(identity(start), for: source, in: store, clock: context.elapsed)
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
      return true
    }
    guard isKept else {
      try? staging.close()
      throw ended
    }
    return durable
  }

  private func startRepair() throws(ReplError) -> UInt64 {
    let point = try store.point(begin.snapshot, of: source)
    let slot = try RepairSlot(of: point, in: store, board: context.repairs, label: label)
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

  // MARK: Seal

  /// Proves what was written against the source's seal. After an error the session is over.
  func seal(_ seal: Seal) throws(ReplError) -> SealReply {
    let wasPrepared = try state.withLock { (state) throws(ReplError) -> Bool in
      if state.isEnded { throw ended }
      try state.order.accept(.seal(seal))
      return state.order.phase != .sealing
    }
    if wasPrepared { return .prepared }
    do throws(ReplError) {
      return isRepair ? try sealRepair() : try sealStaging(seal)
    } catch {
      proofDone(equal: false)
      throw try afterFailedProof(error)
    }
  }

  /// Ends the session. What was staged onto a base that cannot be read is thrown away, and the base is suspect.
  private func afterFailedProof(_ error: ReplError) throws(ReplError) -> ReplError {
    let staging = state.withLock { $0.staging }
    guard let staging, let base = staging.identity.base, let failure = staging.baseWitness.failure else {
      end()
      return error
    }
    let answer = try UnreadableBase(context: context).suspect(base, of: source, failure)
    end(discard: answer.kind == .transient)
    return answer
  }

  private func sealStaging(_ seal: Seal) throws(ReplError) -> SealReply {
    guard let staging = state.withLock({ $0.staging }) else { throw ended }
    let origin = BlockDiff.PointRecord.Origin(
      namespace: begin.namespace, name: begin.name, clockOffset: -context.clockOffset(peer))
    let request = SealRequest(seal: seal, key: key, origin: origin, now: context.clock.now())
    switch try staging.seal(request) {
    case .prepared:
      proofDone(equal: true)
      return .prepared
    case .mismatch: return try mismatch(staging)
    }
  }

  private func sealRepair() throws(ReplError) -> SealReply {
    guard let slot = state.withLock({ $0.repair }) else { throw ended }
    let isEqual = try slot.finish(key: key, now: context.clock.now())
    proofDone(equal: isEqual)
    if !isEqual { end() }
    return isEqual ? .prepared : .mismatch(sums: [], final: true)
  }

  /// The first mismatch says where; the second ends the session, and what was staged is thrown away.
  private func mismatch(_ staging: StagingArea) throws(ReplError) -> SealReply {
    guard !state.withLock({ $0.order.nextMismatchIsFinal }) else {
      proofDone(equal: false)
      end(discard: true)
      return .mismatch(sums: [], final: true)
    }
    let table = try staging.stagedSegments()
    defer { try? table.close() }
    var sums: [SegmentSum] = []
    var touched = staging.touchedSegments()
    while sums.count < SealReply.mismatchLimit, let extent = try touched.next() {
      let segment = extent.offset / segmentSize
      sums.append(SegmentSum(segment: segment, sum: try table.sum(ofSegment: segment).fingerprint))
    }
    proofDone(equal: false)
    return .mismatch(sums: sums, final: false)
  }

  /// Leaves the phase of sealing; an end that came meanwhile is made up for.
  private func proofDone(equal: Bool) {
    let (isEnded, discard) = state.withLock { state in
      if state.order.phase == .sealing { try? state.order.accept(.proofDone(equal: equal)) }
      return (state.isEnded, state.discardsAtEnd)
    }
    if isEnded { end(discard: discard) }
  }

  private func started(
    _ admit: (inout ReceiverSession) throws(ReplError) -> Void
  ) throws(ReplError) -> StagingArea {
    let staging = try state.withLock { (state) throws(ReplError) -> StagingArea? in
      try admit(&state.order)
      return state.isEnded ? nil : state.staging
    }
    guard let staging else {
      throw ReplError(.protocolViolation, subject: label, cause: "has not been started", remedy: "begin it again")
    }
    return staging
  }

  private var ended: ReplError {
    ReplError(.transient, subject: label, cause: "has ended here", remedy: "begin it again: it resumes")
  }

  // MARK: End

  /// Lets go of the staging area; what is durable in it stays for a session that resumes. While the proof is being
  /// computed this waits for its end.
  func end(discard: Bool = false) {
    let (staging, repair) = state.withLock { state -> (StagingArea?, RepairSlot?) in
      state.isEnded = true
      state.discardsAtEnd = state.discardsAtEnd || discard
      guard state.order.phase != .sealing else { return (nil, nil) }
      defer { (state.staging, state.repair) = (nil, nil) }
      return (state.staging, state.repair)
    }
    repair?.discard()
    guard let staging, staging.failure == nil, staging.prepared == nil else { return }
    if discard {
      try? staging.discard()
    } else {
      try? staging.recordProgress()
      try? staging.close()
    }
  }

  func noteStorageError(_ error: ReplError) { context.metrics.storageError(error) }

  /// Records progress when no chunk has come for a while.
  func tick() {
    let staging = state.withLock { $0.isEnded || $0.order.phase == .sealing ? nil : $0.staging }
    // What failed once stays failed, and was counted then.
    guard let staging, staging.failure == nil, staging.isRecordDue,
      !isRecording.exchange(true, ordering: .acquiring)
    else { return }
    let work: @Sendable () -> Void = { [self] in
      defer { isRecording.store(false, ordering: .releasing) }
      do throws(ReplError) { try staging.recordProgressIfDue() } catch { context.metrics.storageError(error) }
    }
    // A slow disk holds up this volume only. Without a thread to be had the caller's own does it.
    do throws(ReplError) { _ = try WorkerThread(name: "record", work) } catch { work() }
  }
}

/// One data stream of a session at the target: checked frames in, staged bytes out. Used by one thread.
final class TargetStream: Sendable {
  /// What a stream writes into.
  enum Sink: Sendable {
    case staging(StagingArea)
    case repair(RepairSlot)
  }

  private let session: TargetSession
  private let sink: Sink
  private let round: Int
  private let isClosed = Atomic<Bool>(false)

  init(session: TargetSession, sink: Sink, round: Int) {
    self.session = session
    self.sink = sink
    self.round = round
  }

  /// Size of the volume in bytes.
  var volumeSize: UInt64 { session.begin.size }

  /// What a frame of the stream may be.
  var limits: StreamLimits {
    StreamLimits(
      volumeSize: volumeSize, maxChunk: session.agreement.maxChunk, codecs: session.agreement.codecs)
  }

  /// Stages raw bytes whose digest has been checked.
  func write(_ raw: UnsafeRawBufferPointer, at offset: UInt64) throws(ReplError) {
    try session.check(round: round)
    try counted { () throws(ReplError) in
      switch sink {
      case .staging(let staging): try staging.write(raw, at: offset)
      case .repair(let slot): try slot.write(raw, at: offset)
      }
    }
  }

  func writeZeros(_ extent: Extent) throws(ReplError) {
    try session.check(round: round)
    try counted { () throws(ReplError) in
      switch sink {
      case .staging(let staging): try staging.writeZeros(extent)
      case .repair(let slot): try slot.writeZeros(extent)
      }
    }
  }

  /// An error of storage ends the stream, and is counted.
  private func counted(_ body: () throws(ReplError) -> Void) throws(ReplError) {
    do throws(ReplError) { try body() } catch {
      session.noteStorageError(error)
      throw error
    }
  }

  /// The stream is over, in order or not. Called before its end is acknowledged: from then on the source may seal.
  func close() {
    guard !isClosed.exchange(true, ordering: .relaxed) else { return }
    session.streamClosed(round: round)
  }
}
