public import ReplModel

/// One session as its source runs it: what is to be done next, given what the target answered, and what a failure means.
/// Pure; the source does the work of each step and tells how it went. Sessions of runs and repairs are alike.
///
/// An attempt leads from ``Step/begin`` to ``Step/finished(_:)``, or fails; ``failed(_:isBaseLost:isCancelled:)`` then says
/// whether there is another one.
public struct SenderSession: Sendable {
  /// What is to be done next.
  public enum Step: Hashable, Sendable {
    /// Say what the session is and offer what is held here; then ``begun(_:)``.
    case begin
    /// Find out what differs from what the target chose, and ship it; then ``shipped(_:)``.
    case ship(BeginOutcome)
    /// Ask for the proof, or for the answer of one that goes on; then ``answered(_:)``.
    case prove(Seal)
    /// Ship the segments whose sums differ once more, over streams of another begin; then ``shipped(_:)``.
    case reship(Seal, sums: [SegmentSum])
    /// Have the target throw away what it holds of the session; then the attempt fails with this.
    case discard(ReplError)
    /// The target holds the point, proven.
    case finished(Held)
  }

  /// How the target holds the point.
  public enum Held: Hashable, Sendable {
    /// It waits for its group.
    case prepared(Seal)
    /// It is a recovery point.
    case sealed(Seal)

    public var seal: Seal {
      switch self {
      case .prepared(let seal), .sealed(let seal): seal
      }
    }
  }

  /// What follows from a failure.
  public enum Recovery: Hashable, Sendable {
    /// Another attempt at once: it will do something else.
    case again
    /// Another attempt at once, as a delta: the full copy that was due has no room, and stays due.
    case againAsDelta
    /// Another attempt after a while, as long as there is hope.
    case later
    /// None.
    case none
  }

  public private(set) var step = Step.begin
  /// `delta` where the full copy that was asked for gave way.
  public private(set) var kind: SessionKind
  /// Whether begin carries the fingerprint key: the target has asked for it.
  public private(set) var sendsKey = false
  /// Whether the proof is of what an earlier connection or life of the session has sent.
  public private(set) var isAttached = false
  private let point: PointID
  private let volume: String
  private let peer: String
  private let mayPostpone: Bool
  private let isOfEarlierVersion: Bool
  /// The seal that was sent to be proven last, in this life of the session or one before; recorded before it was sent.
  private var sent: Seal?
  private var hasMismatched = false

  /// - Parameters:
  ///   - point: the snapshot's.
  ///   - sent: the seal that an earlier life of the session recorded; for a repair the one that is to be reached again.
  ///   - mayPostpone: whether a full copy may give way to a delta where it has no room.
  ///   - isOfEarlierVersion: whether it was begun by a version that did not record the seals it sent.
  ///   - volume: for people.
  ///   - peer: cluster id of the target, for people.
  public init(
    point: PointID, kind: SessionKind, sent: Seal?, mayPostpone: Bool = false, isOfEarlierVersion: Bool = false,
    volume: String, peer: String
  ) {
    self.point = point
    self.kind = kind
    self.sent = sent
    self.mayPostpone = mayPostpone
    self.isOfEarlierVersion = isOfEarlierVersion
    self.volume = volume
    self.peer = peer
  }

  /// The target has answered begin.
  ///
  /// - Throws: `protocolViolation` for a point that it claims to hold and that was never sent to it, or a repair that it
  ///   claims to have made.
  public mutating func begun(_ outcome: BeginOutcome) throws(ReplError) {
    switch outcome {
    case .base, .compareWith, .full: step = .ship(outcome)
    // The group of a repair is nobody else's, and its session lives once: nothing of it is there before it was shipped.
    case .prepared where kind == .repair, .proving where kind == .repair:
      throw violation("does not repair what it was asked to")
    case .prepared where sent == nil && isOfEarlierVersion:
      // What it says that it holds cannot be compared with what was sent.
      step = .discard(again("an earlier version of this agent had it proven at \(peer)"))
    case .prepared(let seal):
      try requireSent(seal)
      step = .finished(.prepared(seal))
    case .alreadySealed(let seal):
      try requireSent(seal)
      step = .finished(.sealed(seal))
    case .proving(let seal) where seal == sent: (step, isAttached) = (.prove(seal), true)
    case .proving: step = .discard(again("\(peer) was proving a seal that is not known here"))
    }
  }

  /// Everything was shipped, and adds up to this seal, which is recorded.
  public mutating func shipped(_ seal: Seal) {
    sent = seal
    step = .prove(seal)
  }

  /// The target has answered the seal.
  ///
  /// - Throws: `damaged` for what differs the second time, `transient` for what an earlier life has shipped and differs.
  public mutating func answered(_ reply: SealReply) throws(ReplError) {
    guard case .prove(let seal) = step else {
      throw ReplError(.bug, subject: volume, cause: "an answer to a seal that was not sent")
    }
    switch reply {
    case .prepared: step = .finished(.prepared(seal))
    case .mismatch(_, final: true): throw mismatch(seal)
    case .mismatch where hasMismatched: throw mismatch(seal)
    case .mismatch where isAttached:
      throw ReplError(
        .transient, subject: volume, cause: "the target's fingerprint of point \(seal.point) differs",
        remedy: "it is shipped once more")
    case .mismatch(let sums, final: false):
      hasMismatched = true
      step = .reship(seal, sums: sums)
    }
  }

  /// An attempt failed; the next one starts with begin.
  ///
  /// - Parameters:
  ///   - isBaseLost: whether it was what was read of the base: there is less to build on now, so this ends.
  ///   - isCancelled: whether this side gave the session up. A connection that was closed here and not by us is a cut one.
  public mutating func failed(_ error: ReplError, isBaseLost: Bool, isCancelled: Bool) -> Recovery {
    (step, isAttached, hasMismatched) = (.begin, false, false)
    if error.kind == .keyNeeded, !sendsKey {
      sendsKey = true
      return .again
    }
    if isBaseLost { return .again }
    if error.kind == .noSpace, kind == .full, mayPostpone {
      kind = .delta
      return .againAsDelta
    }
    return error.kind == .transient || (error.kind == .cancelled && !isCancelled) ? .later : .none
  }

  private func requireSent(_ seal: Seal) throws(ReplError) {
    guard let sent else { throw violation("says that it holds point \(point), which was never sent to be sealed") }
    guard seal == sent else { throw violation("holds another seal of point \(point) than was sent") }
  }

  private func again(_ cause: String) -> ReplError {
    ReplError(.transient, subject: volume, cause: cause, remedy: "it is shipped again")
  }

  private func violation(_ cause: String) -> ReplError {
    ReplError(
      .protocolViolation, subject: "peer \(peer)", cause: cause, remedy: "both sites run the same release of repl-agent"
    )
  }

  private func mismatch(_ seal: Seal) -> ReplError {
    ReplError(
      .damaged, subject: volume,
      cause: "the target's fingerprint of point \(seal.point) did not match twice; its staging was discarded",
      remedy: "the next session copies the whole volume; check both sites' memory and disks")
  }
}
