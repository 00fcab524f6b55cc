public import ReplModel

/// One session as its source drives it: which request is next, from begin to prepared. The group's commit is
/// ``GroupCommit``'s. Pure: answers and events in, the next thing to do out.
///
/// ```
/// new ─begin→ beginning ─base/full→ planning ─plan→ starting ─→ shipping ─shipped→ sealing ─→ prepared
///                 │        compare→ comparing ┘     resuming ┘      ↑                 │
///                 │                                                 └── reshipping ←──┘ first mismatch
///                 └─ already sealed → sealed            second mismatch, refusal, cut → ended
/// ```
public struct SenderSession: Sendable {
  public enum Phase: String, Sendable, CaseIterable {
    case new, beginning, comparing, planning, starting, resuming, shipping, sealing, reshipping
    case prepared, sealed, inDoubt, ended
  }

  /// What the source is to do next.
  public enum Effect: Hashable, Sendable {
    case sendBegin(BeginSession)
    /// Find the changed extents against the base, or with nil every allocated block, for the reason given. Then
    /// ``SenderSession/planned(_:)``.
    case makePlan(base: BaseCandidate?, reason: String?)
    /// Fetch the target's segment sums of this point and plan what differs. Then ``SenderSession/planned(_:)``.
    case compare(with: PointID)
    case sendStart(StartSession)
    /// Ask for the page of durable extents from this offset on.
    case fetchResume(from: UInt64)
    /// Open streams and ship what the plan has and the target does not. Then ``SenderSession/shipped(_:)``.
    case ship
    case sendSeal(Seal)
    /// Begin the session again for new tickets, and with them ship once more those of these segments whose sum differs
    /// from ours. Then ``SenderSession/shipped(_:)``.
    case reshipSegments([SegmentSum])
    /// The member is prepared: tell the group.
    case memberPrepared(Seal)
    /// The point exists at the target, sealed so.
    case recordSealed(Seal)
    /// Ask for the outcome of the seal on the next connection; nothing may be released before.
    case queryOutcome(QueryPoint)
    /// The session is over. `retry` says whether beginning it again, or planning anew, can help.
    case fail(ReplError, retry: Bool)
  }

  public let begin: BeginSession
  public private(set) var phase = Phase.new
  private let key: FingerprintKey?
  private var sentKey: Bool
  private var startSent: StartSession?
  private var resumeOffset: UInt64 = 0
  private var sealSent: Seal?
  private var reshipped = false

  /// - Parameters:
  ///   - begin: what to begin with, the key in it or not.
  ///   - key: the lineage's key, sent when the target asks for it.
  public init(begin: BeginSession, key: FingerprintKey?) {
    self.begin = begin
    self.key = key
    sentKey = begin.key != nil
  }

  /// Opens the session; the same again resumes it.
  public mutating func start() -> Effect {
    guard phase == .new else { return violation("start") }
    phase = .beginning
    return .sendBegin(begin)
  }

  /// The plan is made: what it covers, and the base it was made against.
  public mutating func planned(_ plan: StartSession) -> Effect {
    guard phase == .planning || phase == .comparing, plan.session == begin.session else { return violation("plan") }
    phase = .starting
    startSent = plan
    return .sendStart(plan)
  }

  /// Every frame is acknowledged as written; `seal` is what the source computed.
  public mutating func shipped(_ seal: Seal) -> Effect {
    guard phase == .shipping || phase == .reshipping, seal.point == begin.snapshot else { return violation("shipped") }
    phase = .sealing
    sealSent = seal
    return .sendSeal(seal)
  }

  /// Takes the answer to the request sent last.
  public mutating func receive(_ reply: ControlReply) -> Effect {
    switch (phase, reply) {
    case (_, .refused(let error)): return refused(error)
    case (.beginning, .beginSession(let reply)): return begun(reply.outcome)
    case (.starting, .startSession(let reply)): return started(reply)
    case (.resuming, .resumeExtents(let reply)): return resumed(reply)
    case (.sealing, .sealSession(let reply)): return sealed(reply)
    case (.reshipping, .beginSession(let reply)): return begunAgain(reply.outcome)
    case (.inDoubt, .queryPoint(let reply)): return outcome(reply)
    default: return violation("an answer")
    }
  }

  /// The connection is lost. Once a seal was sent its outcome is in doubt until the target tells it.
  public mutating func connectionLost(_ error: ReplError) -> Effect {
    switch phase {
    case .sealing, .inDoubt:
      phase = .inDoubt
      return .queryOutcome(QueryPoint(volume: begin.volume, point: begin.snapshot))
    case .prepared, .sealed: return .fail(error, retry: true)
    default:
      phase = .ended
      return .fail(error, retry: true)
    }
  }

  /// Something at the source ended the session: reading failed, or it was cancelled.
  public mutating func fail(_ error: ReplError) -> Effect {
    phase = .ended
    return .fail(error, retry: Self.isRetried(error.kind))
  }

  private static func isRetried(_ kind: ReplError.Kind) -> Bool {
    [.transient, .noSpace, .damaged].contains(kind)
  }
}

extension SenderSession {
  private mutating func refused(_ error: ReplError) -> Effect {
    if error.kind == .keyNeeded, phase == .beginning, !sentKey, let key {
      sentKey = true
      var again = begin
      again.key = key
      return .sendBegin(again)
    }
    // A target that cannot answer now has not told the outcome: nothing may be released yet.
    if phase == .inDoubt { return .fail(error, retry: Self.isRetried(error.kind)) }
    return fail(error)
  }

  private mutating func begun(_ outcome: BeginOutcome) -> Effect {
    switch outcome {
    case .base(let point):
      guard begin.kind != .full else { return violation("a base for a full session") }
      if begin.kind == .repair, point == begin.snapshot {
        phase = .planning
        return .makePlan(base: nil, reason: nil)
      }
      guard let candidate = begin.candidates.first(where: { $0.point == point }) else {
        return violation("a base that was not offered")
      }
      phase = .planning
      return .makePlan(base: candidate, reason: nil)
    case .compareWith(let point):
      guard begin.kind != .full, begin.kind != .repair else { return violation("a comparison") }
      phase = .comparing
      return .compare(with: point)
    case .full(let reason):
      phase = .planning
      return .makePlan(base: nil, reason: reason)
    case .alreadySealed(let seal):
      guard seal.point == begin.snapshot, seal.volume == begin.volume else { return violation("another point's seal") }
      phase = .sealed
      return .recordSealed(seal)
    case .prepared(let seal):
      guard seal.point == begin.snapshot, seal.volume == begin.volume else { return violation("another point's seal") }
      phase = .prepared
      return .memberPrepared(seal)
    }
  }

  /// New tickets for what is shipped once more; the plan in force stays.
  private mutating func begunAgain(_ outcome: BeginOutcome) -> Effect {
    switch outcome {
    case .base, .compareWith, .full: .ship
    case .alreadySealed, .prepared: begun(outcome)
    }
  }

  private mutating func started(_ reply: StartReply) -> Effect {
    guard reply.durableBytes > 0 else {
      phase = .shipping
      return .ship
    }
    (phase, resumeOffset) = (.resuming, 0)
    return .fetchResume(from: 0)
  }

  /// Pages must go forward, so their number is bounded by the volume's blocks.
  private mutating func resumed(_ reply: ResumeExtentsReply) -> Effect {
    guard let first = reply.extents.first, let last = reply.extents.last else {
      phase = .shipping
      return .ship
    }
    guard first.end > resumeOffset, last.end <= begin.size else { return violation("a page of durable extents") }
    resumeOffset = last.end
    return .fetchResume(from: resumeOffset)
  }

  private mutating func sealed(_ reply: SealReply) -> Effect {
    switch reply {
    case .prepared:
      guard let seal = sealSent else { return violation("an answer") }
      phase = .prepared
      return .memberPrepared(seal)
    case .mismatch(let sums, let final):
      guard !final, !reshipped, !sums.isEmpty else { return mismatchedTwice() }
      (phase, reshipped) = (.reshipping, true)
      return .reshipSegments(sums)
    }
  }

  private mutating func mismatchedTwice() -> Effect {
    phase = .ended
    let error = ReplError(
      .damaged, subject: "volume \(begin.namespace)/\(begin.name)",
      cause: "the target holds something else than was sent, after sending it once more too",
      remedy: "the next session reads everything; check both sides' disks and memory")
    return .fail(error, retry: true)
  }

  private mutating func outcome(_ reply: QueryPointReply) -> Effect {
    switch reply {
    case .unknown:
      phase = .ended
      let error = ReplError(
        .transient, subject: "volume \(begin.namespace)/\(begin.name)", cause: "the seal did not reach the target")
      return .fail(error, retry: true)
    case .prepared(let seal):
      guard seal == sealSent else { return violation("another seal") }
      phase = .prepared
      return .memberPrepared(seal)
    case .sealed(let seal, _):
      guard seal == sealSent else { return violation("another seal") }
      phase = .sealed
      return .recordSealed(seal)
    }
  }

  private mutating func violation(_ what: String) -> Effect {
    let error = ReplError(
      .protocolViolation, subject: "session \(begin.session)", cause: "\(what) is not legal while \(phase.rawValue)")
    phase = .ended
    return .fail(error, retry: false)
  }
}
