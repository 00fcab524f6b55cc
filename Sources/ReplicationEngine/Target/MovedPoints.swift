import BlockDiff
import ReplModel
import Synchronization
import WireProtocol

/// Points whose images are other files than those that were sealed, of the same size and age: as after a pool was copied
/// to another disk. Nothing says that their bytes are wrong, and only reading says that they are right. What was read and
/// found right gets new files, and serves as a base again.
struct MovedPoints: Sendable {
  /// Points that a start has found, still to be read. Any thread may use it.
  final class Queue: Sendable {
    fileprivate let rest = Mutex<[(source: SourceVolume, point: PointID)]?>(nil)
  }

  let context: TargetContext

  /// The newest point both sides hold, if its image is another file. Only what stat says is looked at.
  func base(for begin: BeginSession, of source: SourceVolume) throws(ReplError) -> CatalogPoint? {
    guard begin.kind != .full, begin.kind != .repair else { return nil }
    let points = try context.database.read {
      try CatalogPoint.all($0, cluster: source.cluster, volume: source.volume)
    }
    for candidate in begin.candidates {
      let held = points.first { $0.point == candidate.point && $0.state == .sealed }
      guard let held, held.seal.fingerprint == candidate.fingerprint else { continue }
      return isMoved(held, source) ? held : nil
    }
    return nil
  }

  /// Reads the base of a session before it begins, so that it need not copy everything.
  func proveBase(for begin: BeginSession, of source: SourceVolume, _ work: Work) throws(ReplError) {
    var tried: Set<PointID> = []
    while let point = try base(for: begin, of: source), tried.insert(point.point).inserted {
      work.expect(point.seal.size)
      try prove(point.point, of: source) { (bytes) throws(ReplError) in try work.advance(bytes) }
    }
  }

  /// Reads the next of those that the start has found: a promotion needs them, even if no session does. False if there is
  /// none.
  func proveNext(_ queue: Queue, pace: @escaping Pace) throws(ReplError) -> Bool {
    if queue.rest.withLock({ $0 == nil }) {
      let found = try newest()
      queue.rest.withLock { $0 = found }
    }
    guard let next = queue.rest.withLock({ $0?.popLast() }) else { return false }
    try prove(next.point, of: next.source, pace)
    return true
  }

  private func prove(_ point: PointID, of source: SourceVolume, _ pace: @escaping Pace) throws(ReplError) {
    _ = try PointVerifier(context: context).verify(source, point, quick: false, pace: pace)
  }

  /// The newest sealed point of each volume, where it was moved.
  private func newest() throws(ReplError) -> [(source: SourceVolume, point: PointID)] {
    var found: [(source: SourceVolume, point: PointID)] = []
    for volume in try context.database.read({ try TargetVolumeRecord.all($0) }) where volume.role == .target {
      let newest = try context.database.read {
        try CatalogPoint.newestSealed($0, cluster: volume.cluster, volume: volume.volume)
      }
      let source = try SourceVolume(cluster: volume.cluster, volume: volume.volume)
      guard let newest, isMoved(newest, source) else { continue }
      context.events.post(
        namespace: volume.namespace, volume: volume.name, warning: false, "PointMoved",
        "point \(newest.point) is another file than the one that was sealed, as after a pool was moved: it is read before "
          + "anything builds on it")
      found.append((source, newest.point))
    }
    return found
  }

  /// What cannot be looked at is for others to judge.
  private func isMoved(_ point: CatalogPoint, _ source: SourceVolume) -> Bool {
    guard let store = try? context.store(pool: point.pool) else { return false }
    return (try? store.isMoved(store.point(point.point, of: source))) ?? false
  }
}
