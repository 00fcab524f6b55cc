import BlockDiff
import GRDB
import ReplModel

/// What the points say of the clocks of their sources, for a start at which none of these was heard yet.
struct RecordedClocks: Sendable {
  let context: TargetContext

  /// The source's clock minus this one in nanoseconds, by cluster, as it was when the newest point of the cluster was
  /// sealed. Where no seal can be read, or nothing was known then either, there is no entry. Blocks.
  func offsets() throws(ReplError) -> [String: Int64] {
    var newest: [Place] = []
    try context.database.read { database in
      try CatalogPoint.eachNewestSealed(database) {
        newest.append(
          Place(cluster: $0.cluster, volume: $0.volume, point: $0.point, pool: $0.pool, sealedAt: $0.sealedAt))
      }
    }
    var offsets: [String: Int64] = [:]
    for place in newest.sorted(by: { $0.sealedAt > $1.sealedAt }) where offsets[place.cluster] == nil {
      if let offset = offset(at: place) { offsets[place.cluster] = offset }
    }
    return offsets
  }

  private struct Place {
    var cluster: String
    var volume: VolumeID
    var point: PointID
    var pool: String
    var sealedAt: Timestamp
  }

  private func offset(at place: Place) -> Int64? {
    guard
      let source = try? SourceVolume(cluster: place.cluster, volume: place.volume),
      let held = try? context.store(pool: place.pool).point(place.point, of: source)
    else { return nil }
    // The record has what is to be added to the source's clock.
    let correction = held.record.origin.clockOffset
    return correction == 0 ? nil : -correction
  }
}
