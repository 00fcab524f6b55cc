import GRDB
import ReplModel

/// The group that a run need not make again: one that another run had sealed at the same peer, of the same volumes and no
/// others, from snapshots that were all taken after this run was asked for.
///
/// What came after what is told by generations. A clock may have been set back.
struct ReusableGroup: Sendable {
  /// One for each volume of the run, in its order.
  var seals: [Seal]

  /// - Returns: nil when there is none.
  static func find(for record: RunRecord, _ database: Database) throws -> ReusableGroup? {
    guard let asked = record.request.generations, asked.count == record.request.volumes.count else { return nil }
    var seals: [Seal] = []
    for (volume, generation) in zip(record.request.volumes, asked) {
      let newest = try SnapshotRecord.all(database, volume: volume, peer: record.peer).first { $0.state == .sealed }
      guard let seal = newest?.seal, seal.generation >= generation else { return nil }
      // One that has to copy everything is not content with a delta.
      let done = try PairCount.done(database, pair: record.request.pair.uid, volume: volume)
      guard PairCount.fullReason(mode: record.request.mode, done: done) == nil || seal.proof == .full else {
        return nil
      }
      seals.append(seal)
    }
    guard let first = seals.first, first.group != record.group, first.members.count == seals.count,
      seals.allSatisfy({ $0.group == first.group })
    else { return nil }
    return ReusableGroup(seals: seals)
  }
}
