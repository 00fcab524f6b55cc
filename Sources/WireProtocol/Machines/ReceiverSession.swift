public import ReplModel

/// One session as its target admits it: which message and frame is legal when. Pure; the target does the work between an
/// event that was admitted and the one that tells how it went.
public struct ReceiverSession: Sendable {
  public enum Phase: String, Sendable, CaseIterable {
    /// Begun, the plan is not known yet.
    case begun
    /// Staging is open for a plan: chunks are taken.
    case streaming
    /// The proof is being computed.
    case sealing
    /// The first proof failed: segments are taken once more.
    case repairing
    /// Proven, durable, waiting for the group.
    case prepared
    case committed
    case confirmed
    /// Aborted, or the second proof failed.
    case ended
  }

  public enum Event: Hashable, Sendable {
    case begin(BeginSession)
    case start(StartSession)
    case resumeExtents
    /// A data stream was attached with a ticket.
    case streamOpened
    case chunk
    case zeroRun
    /// A stream's end, with the counts its source sent.
    case streamEnded(chunks: UInt64, zeroRuns: UInt64)
    /// A stream broke: what it counted is forgotten.
    case streamLost
    case seal(Seal)
    /// How the proof went: equal, or not.
    case proofDone(equal: Bool)
    case commit
    case confirm
    case abort
  }

  public let session: SessionID
  public let snapshot: PointID
  public private(set) var phase = Phase.begun
  /// Data streams that were opened and have not ended.
  public private(set) var openStreams = 0
  /// The seal to be proven, or proven.
  public private(set) var seal: Seal?
  /// What staging was opened for; nil until start.
  public private(set) var plan: StartSession?
  private var mismatched = false

  public init(_ begin: BeginSession) {
    session = begin.session
    snapshot = begin.snapshot
  }

  /// Whether the proof failed once before: the next failure is final.
  public var nextMismatchIsFinal: Bool { mismatched }

  /// Admits an event and moves on; what is not legal changes nothing.
  ///
  /// - Throws: `protocolViolation` that names the event and the phase.
  public mutating func accept(_ event: Event) throws(ReplError) {
    switch event {
    case .begin(let begin): try beginAgain(begin)
    case .start(let start): try self.start(start)
    case .resumeExtents: try require(phase == .streaming, "resumeExtents")
    case .streamOpened:
      try require(phase == .streaming || phase == .repairing, "a data stream")
      openStreams += 1
    case .chunk, .zeroRun:
      try require((phase == .streaming || phase == .repairing) && openStreams > 0, "data")
    case .streamEnded, .streamLost:
      try require(openStreams > 0, "the end of a data stream")
      openStreams -= 1
    case .seal(let seal): try self.seal(seal)
    case .proofDone(let equal): try proofDone(equal: equal)
    case .commit:
      try require(phase == .prepared || phase == .committed || phase == .confirmed, "commit")
      if phase == .prepared { phase = .committed }
    case .confirm:
      try require(phase == .committed || phase == .confirmed, "confirm")
      phase = .confirmed
    case .abort:
      try require(phase != .committed && phase != .confirmed, "abort")
      phase = .ended
    }
  }

  /// Beginning again resumes, on whatever connection it comes; a point that is proven stays so.
  private mutating func beginAgain(_ begin: BeginSession) throws(ReplError) {
    try require(begin.session == session && begin.snapshot == snapshot, "begin of another session")
    try require(phase != .ended && phase != .sealing, "begin")
    openStreams = 0
    // While repairing it only wants new tickets: staging and plan stay.
    guard phase == .begun || phase == .streaming else { return }
    (phase, plan) = (.begun, nil)
  }

  private mutating func start(_ start: StartSession) throws(ReplError) {
    // After a cut while repairing the same plan is started again and resumes; the mismatch is not forgotten.
    let isResumed = phase == .repairing && start == plan && openStreams == 0
    try require(start.session == session && (phase == .begun || isResumed), "start")
    (phase, plan) = (.streaming, start)
  }

  private mutating func seal(_ seal: Seal) throws(ReplError) {
    try require(seal.point == snapshot, "a seal of another point")
    switch phase {
    case .prepared, .committed, .confirmed: try require(seal == self.seal, "another seal of a proven point")
    case .streaming, .repairing:
      try require(openStreams == 0, "seal with open data streams")
      (phase, self.seal) = (.sealing, seal)
    default: try require(false, "seal")
    }
  }

  private mutating func proofDone(equal: Bool) throws(ReplError) {
    try require(phase == .sealing, "a proof")
    if equal {
      phase = .prepared
    } else {
      phase = mismatched ? .ended : .repairing
      mismatched = true
    }
  }

  private func require(_ legal: Bool, _ what: String) throws(ReplError) {
    guard legal else {
      throw ReplError(
        .protocolViolation, subject: "session \(session)", cause: "\(what) is not legal while \(phase.rawValue)")
    }
  }
}
