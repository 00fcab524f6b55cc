import BlockDiff
import ReplModel
import Threads

/// How much the data of each peer takes of each pool. Any thread may call.
///
/// Counting reads the extent maps of all the peer's images: whoever asks does so only where it decides something. Between
/// two counts what comes in is added, so that the figure is never too small.
final class PeerStorage: Sendable {
  /// Least seconds between two counts of one peer in one pool.
  private static let countAge = 5.0
  /// Seconds between two counts, as a multiple of what the last one took.
  private static let rest = 10.0

  private struct Key: Hashable {
    var peer: String
    var pool: String
  }

  private struct Count {
    /// Bytes by volume.
    var volumes: [VolumeID: UInt64] = [:]
    /// Bytes that came in since the count began: it may have seen them or not.
    var received: UInt64 = 0
    /// When the next count may begin; nil before the first one.
    var next: Double?
    var isUnderWay = false

    var total: UInt64 { volumes.values.reduce(received) { $0.addingSaturating($1) } }
  }

  private let context: TargetContext
  private let counts = Monitor<[Key: Count]>([:])

  init(context: TargetContext) { self.context = context }

  /// Bytes that a peer holds in a pool, or more. Counts again where the last figure is above `limit`.
  func bytes(of peer: String, in pool: String, comparedWith limit: UInt64) throws(ReplError) -> UInt64 {
    let key = Key(peer: peer, pool: pool)
    let now = context.clock.ticks()
    let isKnown = counts.wait { counts -> Bool? in
      let count = counts[key, default: Count()]
      if count.isUnderWay { return nil }
      if let next = count.next, count.total <= limit || now < next { return true }
      (counts[key, default: count].isUnderWay, counts[key, default: count].received) = (true, 0)
      return false
    }
    if isKnown == false { try count(key) }
    return counts.look { $0[key]?.total ?? 0 }
  }

  /// Notes bytes that a peer has sent into a pool.
  func add(_ bytes: UInt64, from peer: String, in pool: String) {
    counts.change { counts in
      guard let count = counts[Key(peer: peer, pool: pool)] else { return }
      counts[Key(peer: peer, pool: pool)]?.received = count.received.addingSaturating(bytes)
    }
  }

  /// Counts one volume again, of which something was deleted.
  func recount(_ source: SourceVolume, in pool: String) throws(ReplError) {
    let bytes = try context.store(pool: pool).storedBytes(of: source)
    counts.change { $0[Key(peer: source.cluster, pool: pool)]?.volumes[source.volume] = bytes }
  }

  private func count(_ key: Key) throws(ReplError) {
    let began = context.clock.ticks()
    defer { counts.change { $0[key]?.isUnderWay = false } }
    let store = try context.store(pool: key.pool)
    let held = try context.database.read { try Replica.held($0, cluster: key.peer, pool: key.pool) }
    var volumes: [VolumeID: UInt64] = [:]
    for volume in held {
      let source = try SourceVolume(cluster: key.peer, volume: volume.volume)
      // An image that cannot be read is no reason to take nothing more from its peer.
      volumes[volume.volume] = try? store.storedBytes(of: source)
    }
    let ended = context.clock.ticks()
    counts.change { [volumes] counts in
      counts[key]?.volumes = volumes
      counts[key]?.next = ended + max(Self.countAge, Self.rest * (ended - began))
    }
  }
}
