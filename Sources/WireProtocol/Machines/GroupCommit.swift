public import ReplModel

/// The last steps of a group as its source drives them: all members prepared, commit, confirm. All or none: a member that
/// fails ends the group. Pure.
public struct GroupCommit: Sendable {
  public enum Phase: String, Sendable {
    case collecting, committing, inDoubt, confirming, done, ended
  }

  public enum Effect: Hashable, Sendable {
    /// Wait for other members, or there is nothing more to do.
    case wait
    case sendCommit(CommitGroup)
    /// Record the commit durably, then ``GroupCommit/recorded()``.
    case recordCommit(CommitReply)
    case sendConfirm(ConfirmGroup)
    /// Ask for these points on the next connection; nothing may be released before.
    case queryOutcome([QueryPoint])
    /// Every session of the group is to be aborted; what is shipped is kept for the next try.
    case abortMembers(ReplError)
  }

  public let group: GroupID
  public private(set) var phase = Phase.collecting
  private let points: [VolumeID: PointID]
  private var prepared: Set<VolumeID> = []
  private var sealed: Set<VolumeID> = []

  /// - Parameter points: the present members and their snapshots.
  public init(group: GroupID, points: [VolumeID: PointID]) {
    self.group = group
    self.points = points
  }

  /// A member is prepared at the target.
  public mutating func memberPrepared(_ volume: VolumeID) -> Effect {
    guard phase == .collecting, points[volume] != nil else { return .wait }
    prepared.insert(volume)
    return commitIfComplete()
  }

  /// A member turned out to be sealed already: the group was committed in an earlier attempt. Committing again answers the
  /// same.
  public mutating func memberSealed(_ volume: VolumeID) -> Effect { memberPrepared(volume) }

  /// A member's session is over without being prepared.
  public mutating func memberFailed(_ error: ReplError) -> Effect {
    guard phase == .collecting else { return .wait }
    phase = .ended
    return .abortMembers(error)
  }

  /// Takes the answer to commit or confirm.
  public mutating func receive(_ reply: ControlReply) -> Effect {
    switch (phase, reply) {
    case (.committing, .commitGroup(let reply)):
      guard Set(reply.points) == Set(points.values) else { return failed("names other points than the group's") }
      phase = .confirming
      return .recordCommit(reply)
    case (.confirming, .confirmGroup):
      phase = .done
      return .wait
    case (.committing, .refused(let error)):
      phase = .ended
      return .abortMembers(error)
    case (.confirming, .refused): return .wait
    default: return failed("sends an answer that is not legal while \(phase.rawValue)")
    }
  }

  /// The commit is recorded at the source.
  public func recorded() -> Effect {
    phase == .confirming ? .sendConfirm(ConfirmGroup(group: group)) : .wait
  }

  /// The connection is lost. Once commit was sent its outcome is in doubt; a confirm is sent again.
  public mutating func connectionLost() -> Effect {
    switch phase {
    case .committing, .inDoubt:
      phase = .inDoubt
      sealed = []
      let queries = points.map { QueryPoint(volume: $0.key, point: $0.value) }
      return .queryOutcome(queries.sorted { $0.volume < $1.volume })
    case .confirming: return .sendConfirm(ConfirmGroup(group: group))
    default: return .wait
    }
  }

  /// What the target said of one member while in doubt. When all are known the commit is sent again: of a group that was
  /// committed it answers the same once more.
  public mutating func outcome(of volume: VolumeID, _ reply: QueryPointReply) -> Effect {
    guard phase == .inDoubt, points[volume] != nil else { return .wait }
    if case .unknown = reply {
      phase = .ended
      return .abortMembers(
        ReplError(.transient, subject: "group \(group)", cause: "the target did not prepare volume \(volume)"))
    }
    sealed.insert(volume)
    guard sealed.count == points.count else { return .wait }
    phase = .committing
    return .sendCommit(CommitGroup(group: group))
  }

  private mutating func commitIfComplete() -> Effect {
    guard prepared.count == points.count else { return .wait }
    phase = .committing
    return .sendCommit(CommitGroup(group: group))
  }

  private mutating func failed(_ what: String) -> Effect {
    phase = .ended
    return .abortMembers(ReplError(.protocolViolation, subject: "group \(group)", cause: "the target \(what)"))
  }
}
