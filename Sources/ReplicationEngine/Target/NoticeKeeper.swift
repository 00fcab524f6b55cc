import BlockDiff
import GRDB
import ReplModel
import WireProtocol

/// Takes in what a source says of its volumes outside of sessions.
struct NoticeKeeper: Sendable {
  let context: TargetContext

  /// Idempotent; a volume that is not held is no error.
  func take(_ notice: VolumeNotice, from peer: String) throws(ReplError) {
    switch notice.content {
    case .deleted: try orphan(notice.volume, peer)
    case .doubted(let generation, let reason): try doubt(notice.volume, peer, after: generation, reason: reason)
    }
  }

  private func orphan(_ volume: VolumeID, _ peer: String) throws(ReplError) {
    let now = context.clock.now()
    try context.database.write { try Replica.orphan($0, cluster: peer, volume: volume, at: now) }
    try OrphanStaging(context: context).discard(try SourceVolume(cluster: peer, volume: volume))
  }

  private func doubt(_ volume: VolumeID, _ peer: String, after generation: UInt64, reason: String) throws(ReplError) {
    let text = reason.isEmpty ? "the source may have missed changes" : reason
    let source = try SourceVolume(cluster: peer, volume: volume)
    let doubted = try context.database.read { database in
      try CatalogPoint.all(database, cluster: peer, volume: volume).filter {
        $0.doubt == nil && $0.seal.proof == .delta && $0.seal.generation > generation
      }
    }
    try DamageBook(context: context).doubtSealed(doubted.map(\.point), of: source, because: text)
  }
}
