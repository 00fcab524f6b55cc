import BlockDiff
import ReplModel

/// Looks once after each start whether the images of all points are the files that were sealed. Of a pool that was moved
/// none is: the scrub reads them again then, the newest first, and does not find out only when one is wanted.
struct StampLook: Sendable {
  let context: TargetContext

  /// Returns how many points became suspect. Opens files and reads none of the images.
  func run(isStopped: () -> Bool = { false }) throws(ReplError) -> Int {
    var count = 0
    for replica in try context.database.read({ try Replica.held($0) }) {
      guard let source = try? SourceVolume(cluster: replica.cluster, volume: replica.volume) else { continue }
      let points = try context.database.read {
        try CatalogPoint.all($0, cluster: replica.cluster, volume: replica.volume)
      }
      for point in points where point.state == .sealed {
        if isStopped() { return count }
        guard let difference = difference(of: point, source) else { continue }
        try DamageBook(context: context).suspect(point.point, of: source, because: difference)
        count += 1
      }
    }
    return count
  }

  /// Nil too where it cannot be told: a pool that gives nothing says nothing of its points.
  private func difference(of point: CatalogPoint, _ source: SourceVolume) -> String? {
    do throws(ReplError) {
      let store = try context.store(pool: point.pool)
      return try store.checkStamp(try store.point(point.point, of: source))
    } catch {
      return [.notFound, .damaged].contains(error.kind) ? "\(error.subject): \(error.cause)" : nil
    }
  }
}
