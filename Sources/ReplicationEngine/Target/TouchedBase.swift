import BlockDiff
import ReplModel
import WireProtocol

/// Proves a base again that is not the file that was sealed: its pool was moved to another disk, say, or somebody touched
/// it. It is read here, once, which costs less than a full copy over the wire; what differs is no base.
struct TouchedBase: Sendable {
  let context: TargetContext
  let begin: BeginSession
  let source: SourceVolume

  /// The newest of the points offered that would be the base but for its file. Nothing is read.
  ///
  /// - Parameter read: those that were read already.
  func next(besides read: Set<PointID> = []) throws(ReplError) -> CatalogPoint? {
    guard begin.kind == .delta, try !isHeld(begin.snapshot) else { return nil }
    for candidate in begin.candidates where !read.contains(candidate.point) {
      guard let point = try find(candidate.point), Self.isCandidate(point, candidate) else { continue }
      if try isTouched(point) { return point }
      // The choice takes it as it is, or knows better why not.
      if point.suspicion == nil { return nil }
    }
    return nil
  }

  /// Reads what ``next()`` names until one is what was sealed. Long; not with the volume's turn.
  ///
  /// - Throws: `transient` when the work is given up, or somebody else gives the point new files just now.
  func prove(_ work: Work) throws(ReplError) {
    var read: Set<PointID> = []
    while let point = try next(besides: read), try !isProven(point, work) { read.insert(point.point) }
  }

  private static func isCandidate(_ point: CatalogPoint, _ offered: BaseCandidate) -> Bool {
    // What its source doubts, and what is known to be damaged, reading does not make a base.
    [.sealed, .suspect].contains(point.state) && point.damaged.isEmpty && point.doubt == nil
      && point.seal.fingerprint == offered.fingerprint
  }

  /// Whether the snapshot of the session is a point, or will be one: nothing is built on a base then.
  private func isHeld(_ snapshot: PointID) throws(ReplError) -> Bool {
    try context.database.read { database in
      let prepared = try PreparedRecord.find(database, cluster: source.cluster, volume: source.volume)
      return try prepared?.seal.point == snapshot || CatalogPoint.find(database, source, snapshot) != nil
    }
  }

  private func find(_ point: PointID) throws(ReplError) -> CatalogPoint? {
    try context.database.read { try CatalogPoint.find($0, source, point) }
  }

  private func isTouched(_ point: CatalogPoint) throws(ReplError) -> Bool {
    do throws(ReplError) {
      let store = try context.store(pool: point.pool)
      return try store.checkStamp(try store.point(point.point, of: source)) != nil
    } catch {
      // Of files that are gone or cannot be read there is nothing to prove; the choice says so.
      guard [.notFound, .damaged, .io].contains(error.kind) else { throw error }
      return false
    }
  }

  private func isProven(_ point: CatalogPoint, _ work: Work) throws(ReplError) -> Bool {
    work.expect(point.seal.size)
    do throws(ReplError) {
      _ = try PointVerifier(context: context).verify(source, point.point, quick: false, pace: work.advance)
    } catch {
      guard [.notFound, .damaged, .io, .keyNeeded].contains(error.kind) else { throw error }
      return false
    }
    guard let now = try find(point.point), now.damaged.isEmpty else { return false }
    guard try !isTouched(now) else {
      throw ReplError(
        .transient, subject: "recovery point \(point.point)", cause: "is being read and given new files just now",
        remedy: "try again when that is done")
    }
    return true
  }
}
