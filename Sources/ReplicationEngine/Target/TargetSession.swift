import BlockDiff
import ReplModel
import Synchronization
import WireProtocol

/// The target's end of one session: what was begun, the staging area, and the streams that write into it.
final class TargetSession: Sendable {
  private struct State {
    var staging: StagingArea?
    var start: StartSession?
    var tickets: [StreamTicket: Double] = [:]
    var openStreams = 0
    var mismatches = 0
    var isEnded = false
  }

  let peer: String
  let source: SourceVolume
  let begin: BeginSession
  let outcome: BeginOutcome
  let volume: TargetVolumeRecord
  let key: FingerprintKey
  let store: PointStore
  private let context: TargetContext
  private let state = Mutex(State())
  /// Seconds a ticket lives.
  private static let ticketLife: Double = 120

  init(
    peer: String, source: SourceVolume, begin: BeginSession, outcome: BeginOutcome, volume: TargetVolumeRecord,
    key: FingerprintKey, store: PointStore, context: TargetContext
  ) {
    self.peer = peer
    self.source = source
    self.begin = begin
    self.outcome = outcome
    self.volume = volume
    self.key = key
    self.store = store
    self.context = context
  }

  var label: String { "session \(begin.session) of \(volume.label)" }

  /// Whether a begin of the same session only wants new tickets: segments are being shipped once more.
  var isRepairing: Bool { state.withLock { $0.mismatches == 1 && !$0.isEnded && $0.staging?.failure == nil } }

  // MARK: Tickets and streams

  /// New single-use tickets for data streams; those issued before are worthless.
  func issueTickets(_ count: Int) -> [StreamTicket] {
    var generator = SystemRandomNumberGenerator()
    let tickets = (0..<count).compactMap { _ in
      StreamTicket(bytes: (0..<StreamTicket.byteCount).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }
    let expiry = context.clock.ticks() + Self.ticketLife
    state.withLock { $0.tickets = Dictionary(uniqueKeysWithValues: tickets.map { ($0, expiry) }) }
    return tickets
  }

  /// Takes a ticket for good and opens a stream with it.
  func attach(_ ticket: StreamTicket) throws(ReplError) -> TargetStream {
    let now = context.clock.ticks()
    let taken: (expiry: Double?, staging: StagingArea?) = state.withLock { state in
      let expiry = state.tickets.removeValue(forKey: ticket)
      if expiry.map({ $0 >= now }) ?? false, state.staging != nil, !state.isEnded { state.openStreams += 1 }
      return (expiry, state.isEnded ? nil : state.staging)
    }
    guard let expiry = taken.expiry, expiry >= now else {
      throw ReplError(
        .unauthenticated, subject: label, cause: "the stream's ticket is unknown, used or expired",
        remedy: "begin the session again")
    }
    guard let staging = taken.staging else {
      throw ReplError(.protocolViolation, subject: label, cause: "a stream came before the session was started")
    }
    return TargetStream(session: self, staging: staging)
  }

  func streamClosed() { state.withLock { $0.openStreams -= 1 } }

  // MARK: Staging

  /// Opens or resumes the staging area for exactly this plan.
  func start(_ start: StartSession) throws(ReplError) -> UInt64 {
    try checkBase(start)
    let kind: StagingIdentity.Kind =
      switch start.kind {
      case .delta: .delta
      case .compare: .comparison
      case .full: .full
      case .repair:
        throw ReplError(.protocolViolation, subject: label, cause: "a repair is not started with a plan")
      }
    let identity = StagingIdentity(
      base: start.base, point: begin.snapshot, size: begin.size, planDigest: start.planDigest, kind: kind)
    if state.withLock({ $0.staging != nil }) {
      throw ReplError(.protocolViolation, subject: label, cause: "was started already", remedy: "begin it again")
    }
    let staging = try StagingArea.open(identity, for: source, in: store, clock: context.elapsed)
    let durable = try staging.durableByteCount()
    state.withLock {
      $0.staging = staging
      $0.start = start
    }
    return durable
  }

  private func checkBase(_ start: StartSession) throws(ReplError) {
    let isAllowed =
      switch (start.kind, outcome) {
      case (.full, _): start.base == nil
      case (.delta, .base(let point)), (.compare, .compareWith(let point)): start.base == point
      default: false
      }
    guard isAllowed else {
      throw ReplError(.protocolViolation, subject: label, cause: "was started against another base than the one agreed")
    }
  }

  /// One page of what is durable.
  func durablePage(from offset: UInt64) throws(ReplError) -> [Extent] {
    var stream = try started().durableExtents()
    var page: [Extent] = []
    while page.count < ResumeExtentsRequest.pageLimit, let extent = try stream.next() {
      guard extent.end > offset else { continue }
      page.append(extent.offset >= offset ? extent : Extent(from: offset, to: extent.end))
    }
    return page
  }

  /// Proves the staging area against the source's seal.
  func seal(_ seal: Seal) throws(ReplError) -> SealReply {
    let staging = try started()
    guard state.withLock({ $0.openStreams }) == 0 else {
      throw ReplError(.protocolViolation, subject: label, cause: "is sealed while a data stream is open")
    }
    let origin = BlockDiff.PointRecord.Origin(
      namespace: begin.namespace, name: begin.name, clockOffset: -context.clockOffset(peer))
    let request = SealRequest(seal: seal, key: key, origin: origin, now: context.clock.now())
    switch try staging.seal(request) {
    case .prepared: return .prepared
    case .mismatch: return try mismatch(staging)
    }
  }

  /// The first mismatch says where; the second ends the session, and what was staged is thrown away.
  private func mismatch(_ staging: StagingArea) throws(ReplError) -> SealReply {
    let count = state.withLock { state in
      state.mismatches += 1
      return state.mismatches
    }
    guard count == 1 else {
      try? staging.discard()
      end()
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
    return .mismatch(sums: sums, final: false)
  }

  private func started() throws(ReplError) -> StagingArea {
    guard let staging = state.withLock({ $0.isEnded ? nil : $0.staging }) else {
      throw ReplError(.protocolViolation, subject: label, cause: "has not been started", remedy: "begin it again")
    }
    return staging
  }

  // MARK: End

  /// Lets go of the staging area; what is durable in it stays for a session that resumes.
  func end(discard: Bool = false) {
    let staging = state.withLock { state in
      state.isEnded = true
      state.tickets = [:]
      defer { state.staging = nil }
      return state.staging
    }
    guard let staging, staging.failure == nil, staging.prepared == nil else { return }
    if discard {
      try? staging.discard()
    } else {
      try? staging.recordProgress()
      try? staging.close()
    }
  }

  /// Records progress when no chunk has come for a while.
  func tick() { try? state.withLock({ $0.isEnded ? nil : $0.staging })?.recordProgressIfDue() }
}

/// One data stream of a session at the target: checked frames in, staged bytes out. Used by one thread.
final class TargetStream: Sendable {
  private let session: TargetSession
  private let isClosed = Atomic<Bool>(false)
  private let staging: StagingArea

  init(session: TargetSession, staging: StagingArea) {
    self.session = session
    self.staging = staging
  }

  /// Size of the volume in bytes.
  var volumeSize: UInt64 { session.begin.size }

  /// Stages raw bytes whose digest has been checked.
  func write(_ raw: UnsafeRawBufferPointer, at offset: UInt64) throws(ReplError) { try staging.write(raw, at: offset) }
  func writeZeros(_ extent: Extent) throws(ReplError) { try staging.writeZeros(extent) }

  /// The stream is over, in order or not. Called before its end is acknowledged: from then on the source may seal.
  func close() {
    guard !isClosed.exchange(true, ordering: .relaxed) else { return }
    session.streamClosed()
  }
}
