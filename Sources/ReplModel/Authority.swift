/// Where a branch was left for the next one.
public struct BranchPoint: Hashable, Sendable {
  public var branch: Branch
  /// The point that the next branch began with.
  public var point: PointID
  public init(branch: Branch, point: PointID) {
    self.branch = branch
    self.point = point
  }
}

/// Who may write a replica at this site: its authority record, of which each site has one of its own. Design section 9.
///
/// A value with a table of transitions: what an event makes of it, and what is refused and why, is decided here and
/// nowhere else. Nothing but ids and the role decide; epochs are for people.
public struct Authority: Hashable, Sendable {
  public let lineage: LineageID
  public private(set) var branch: Branch
  /// The branches that ``branch`` descends from, oldest first.
  public private(set) var ancestors: [BranchPoint]
  public private(set) var role: VolumeRole

  public init(lineage: LineageID, branch: Branch, ancestors: [BranchPoint] = [], role: VolumeRole) {
    self.lineage = lineage
    self.branch = branch
    self.ancestors = ancestors
    self.role = role
  }

  /// Of a volume that begins its life here: it is written here, on a branch of its own.
  public static func new() -> Authority {
    Authority(lineage: .random(), branch: Branch(epoch: 1, id: .random()), role: .source)
  }

  /// Of a replica whose first session comes from its source.
  public static func following(lineage: LineageID, branch: Branch) -> Authority {
    Authority(lineage: lineage, branch: branch, role: .target)
  }
}

/// Whether a session of a peer may write points of a replica.
public enum SessionAdmission: Hashable, Sendable {
  case admitted
  /// The replica is written here: it takes no points.
  case inUse(VolumeRole)
  /// The branch is one that ours descends from: refused as old.
  case superseded
  /// Another branch, or another lineage: both sides keep everything, and an operator decides.
  case diverged(Divergence)

  /// What two histories differ in.
  public enum Divergence: Hashable, Sendable {
    case lineage
    case branch
  }
}

/// Why an event does not fit an authority record.
public enum AuthorityRefusal: Error, Hashable, Sendable {
  /// Only a target is promoted.
  case notATarget(VolumeRole)
  /// Only a promotion is withdrawn.
  case notPromoted(VolumeRole)
}

extension Authority {
  /// What happens to a record; a session that is offered changes nothing: ``admission(lineage:branch:)``.
  public enum Event: Hashable, Sendable {
    /// The replica goes live here, made of a point: a branch begins.
    case promoted(branch: BranchID, point: PointID)
    /// A promotion is taken back before anything was live.
    case withdrawn
  }

  /// The record after an event.
  ///
  /// | role | promoted | withdrawn |
  /// |---|---|---|
  /// | `source` | refused | refused |
  /// | `target` | `promoted`, on a new branch that descends from the present one | refused |
  /// | `promoted` | refused | `target`, on the branch before |
  /// | `demoted` | refused | refused |
  public func applying(_ event: Event) throws(AuthorityRefusal) -> Authority {
    switch (role, event) {
    case (.target, .promoted(let id, let point)):
      var next = self
      next.ancestors.append(BranchPoint(branch: branch, point: point))
      next.branch = Branch(epoch: branch.epoch + 1, id: id)
      next.role = .promoted
      return next
    case (.source, .promoted), (.promoted, .promoted), (.demoted, .promoted):
      throw .notATarget(role)
    case (.promoted, .withdrawn):
      guard let parent = ancestors.last else { throw .notPromoted(role) }
      var next = self
      next.ancestors.removeLast()
      next.branch = parent.branch
      next.role = .target
      return next
    case (.source, .withdrawn), (.target, .withdrawn), (.demoted, .withdrawn):
      throw .notPromoted(role)
    }
  }

  /// Whether a session of a peer that carries this lineage and branch may write points here.
  ///
  /// | role | same branch | an ancestor | another |
  /// |---|---|---|---|
  /// | `target` | admitted | superseded | diverged |
  /// | any other | in use | in use | in use |
  public func admission(lineage offered: LineageID, branch session: Branch) -> SessionAdmission {
    guard role == .target else { return .inUse(role) }
    guard offered == lineage else { return .diverged(.lineage) }
    guard session.id != branch.id else { return .admitted }
    return ancestors.contains { $0.branch.id == session.id } ? .superseded : .diverged(.branch)
  }
}
