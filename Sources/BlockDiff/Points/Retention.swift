public import ReplModel

/// Which points of a volume may be deleted. Pure: what protects data should be readable at a glance.
public struct RetentionPolicy: Hashable, Sendable {
  /// One step of thinning: of the points older than `age`, one per `spacing` stays.
  public struct Thinning: Hashable, Sendable {
    /// Seconds.
    public var age: Double
    /// Seconds.
    public var spacing: Double

    public init(age: Double, spacing: Double) {
      self.age = age
      self.spacing = spacing
    }
  }

  /// The newest that many stay.
  public var keepLast: Int
  /// Points younger than that many seconds of elapsed time stay; nil asks for none.
  public var newerThan: Double?
  /// Keeps some of those that neither rule keeps.
  public var thinning: [Thinning]
  /// Never fewer points than this, whatever the rules say.
  public var floor: Int

  /// Seconds after a clock step in which nothing is deleted.
  public static let stepPause: Double = 3600

  public init(keepLast: Int, newerThan: Double? = nil, thinning: [Thinning] = [], floor: Int = 3) {
    self.keepLast = keepLast
    self.newerThan = newerThan
    self.thinning = thinning
    self.floor = floor
  }

  /// A point as retention sees it.
  public struct Candidate: Hashable, Sendable {
    public var id: PointID
    public var generation: UInt64
    /// Seconds since it was sealed.
    public var age: Double
    /// A base of either side, promoted, pinned, or quarantined: never deleted here.
    public var isHeld: Bool

    public init(id: PointID, generation: UInt64, age: Double, isHeld: Bool) {
      self.id = id
      self.generation = generation
      self.age = age
      self.isHeld = isHeld
    }
  }

  /// The points to delete, oldest first.
  ///
  /// - Parameter secondsSinceClockStep: elapsed seconds since the clock was last seen to step; nil if it never was.
  public func pointsToDelete(_ points: [Candidate], secondsSinceClockStep: Double?) -> [PointID] {
    if let step = secondsSinceClockStep, step < Self.stepPause { return [] }
    let newestFirst = points.sorted { ($0.generation, $0.id) > ($1.generation, $1.id) }
    let kept = thinned(newestFirst)
    var excess = max(0, newestFirst.count - max(floor, 1))
    var doomed: [PointID] = []
    for (position, point) in newestFirst.enumerated().reversed() where excess > 0 {
      let isYoung = newerThan.map { point.age < $0 } ?? false
      guard position > 0, position >= keepLast, !point.isHeld, !isYoung, !kept.contains(point.id) else { continue }
      doomed.append(point.id)
      excess -= 1
    }
    return doomed
  }

  /// What thinning keeps: going from old to new, a point that lies a whole spacing after the last one kept.
  private func thinned(_ newestFirst: [Candidate]) -> Set<PointID> {
    var kept: Set<PointID> = []
    var lastAge: Double?
    for point in newestFirst.reversed() {
      guard let rule = thinning.filter({ point.age >= $0.age }).max(by: { $0.age < $1.age }) else { continue }
      if let lastAge, lastAge - point.age < rule.spacing { continue }
      kept.insert(point.id)
      lastAge = point.age
    }
    return kept
  }
}
