import BlockDiff
import ReplModel

/// What is staged of volumes that their sources have no more: no session will ever finish it, and no group with it will
/// be committed.
struct OrphanStaging: Sendable {
  let context: TargetContext

  /// Idempotent; durable on return. The volume is recorded as deleted before, so that a crash in between is made up for
  /// by the next start. Does nothing for a volume that its source has.
  func discard(_ source: SourceVolume) throws(ReplError) {
    let found = try context.database.read {
      try Replica.find($0, cluster: source.cluster, volume: source.volume)
    }
    // A pool that is not in the configuration is not ours to write to.
    guard let volume = found, volume.deletedAt != nil, volume.role == .target,
      context.pools.layout(named: volume.pool) != nil
    else { return }
    try context.database.write {
      try PreparedRecord.find($0, cluster: source.cluster, volume: source.volume)?.delete($0)
    }
    try context.store(pool: volume.pool).discardStaging(of: source)
  }

  /// For start-up, before sealed staging is looked at. Returns what could not be discarded.
  func discardAll() throws(ReplError) -> [SkippedEntry] {
    var skipped: [SkippedEntry] = []
    for volume in try context.database.read({ try Replica.held($0) }) where volume.deletedAt != nil {
      do throws(ReplError) {
        try discard(try SourceVolume(cluster: volume.cluster, volume: volume.volume))
      } catch {
        skipped.append(SkippedEntry("staging of \(volume.label)", "\(error)"))
      }
    }
    return skipped
  }
}
