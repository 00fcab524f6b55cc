public import ReplModel

/// A snapshot that could be dropped to make room.
public struct SpaceCandidate: Hashable, Sendable {
  public var point: PointID
  /// Bytes that come free when it goes; nil when not known.
  public var exclusiveBytes: UInt64?

  public init(point: PointID, exclusiveBytes: UInt64? = nil) {
    self.point = point
    self.exclusiveBytes = exclusiveBytes
  }
}

/// One thing to do for room, in the order given. Each is an event and a metric.
public enum SpaceStep: Hashable, Sendable {
  case stopSnapshots
  /// A snapshot that the target does not hold and no seal was sent for.
  case dropUnsent(PointID)
  /// A quarantined point that was released.
  case dropReleasedQuarantine(PointID)
  /// A pinned base: its segment sums are kept, so that the next cycle is a digest comparison and not a full copy.
  case dropPinnedBaseKeepingSums(PointID)
}

/// What gives way to production, and in which order (design section 5). Pure.
public struct SpaceRelief: Hashable, Sendable {
  /// Oldest last: newer unsent snapshots go first, for the older one may be half shipped.
  public var unsent: [SpaceCandidate]
  public var releasedQuarantines: [SpaceCandidate]
  public var pinnedBases: [SpaceCandidate]

  public init(
    unsent: [SpaceCandidate] = [], releasedQuarantines: [SpaceCandidate] = [], pinnedBases: [SpaceCandidate] = []
  ) {
    self.unsent = unsent
    self.releasedQuarantines = releasedQuarantines
    self.pinnedBases = pinnedBases
  }

  /// The steps for the room measured now: none above the low mark; below it unsent snapshots, then released
  /// quarantines, until the low mark is reached by what is known of their sizes; below the floor pinned bases too,
  /// largest first, until the floor is reached. After a step of unknown size the plan of bases ends: measure again.
  public func steps(for space: FileSystemSpace, marks: SpaceWatermarks) -> [SpaceStep] {
    guard marks.level(of: space) < .ok else { return [] }
    var steps: [SpaceStep] = [.stopSnapshots]
    var available = space.available
    let low = marks.lowMark(total: space.total)
    for candidate in unsent where available < low {
      steps.append(.dropUnsent(candidate.point))
      available = available.addingSaturating(candidate.exclusiveBytes ?? 0)
    }
    for candidate in releasedQuarantines where available < low {
      steps.append(.dropReleasedQuarantine(candidate.point))
      available = available.addingSaturating(candidate.exclusiveBytes ?? 0)
    }
    let dropped = unsent + releasedQuarantines
    // What was just planned may free more than is known; bases are not given up on a guess.
    if steps.count > 1, dropped.contains(where: { $0.exclusiveBytes == nil }) { return steps }
    let floor = marks.floorMark(total: space.total)
    for candidate in pinnedBases.sorted(by: Self.isLarger) where available < floor {
      steps.append(.dropPinnedBaseKeepingSums(candidate.point))
      guard let bytes = candidate.exclusiveBytes else { break }
      available = available.addingSaturating(bytes)
    }
    return steps
  }

  private static func isLarger(_ left: SpaceCandidate, _ right: SpaceCandidate) -> Bool {
    let (first, second) = (left.exclusiveBytes ?? 0, right.exclusiveBytes ?? 0)
    return first == second ? left.point < right.point : first > second
  }
}
