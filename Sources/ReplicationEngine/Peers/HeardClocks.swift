import ReplModel
import Threads

/// What heartbeats of peers tell, for peers that this agent does not ask itself: when the last one came, and how far their
/// clocks are ahead of ours. Any thread may call.
///
/// A heartbeat says when it was sent, so what is heard is the offset less the time it took to come; the largest of the
/// newest few is the nearest.
final class HeardClocks: Sendable {
  private static let sampleLimit = 8

  private struct Peer {
    /// Nanoseconds, oldest first.
    var offsets: [Int64] = []
    /// Seconds of the monotonic clock.
    var heardAt = 0.0
  }

  private let peers = Locked<[String: Peer]>([:])
  /// What was known of clocks when this agent ended, in nanoseconds.
  private let recorded = Locked<[String: Int64]>([:])

  /// Goes on with what the records say until the peer is heard.
  func recall(_ offset: Int64, of cluster: String) { recorded.withLock { $0[cluster] = offset } }

  /// As ``offset(of:)``; until the peer is heard, what was recorded before this start.
  func lastOffset(of cluster: String) -> Int64? { offset(of: cluster) ?? recorded.withLock { $0[cluster] } }

  /// Notes a heartbeat of a peer that TLS has authenticated.
  func heard(_ sentAt: Timestamp, from cluster: String, clock: any EngineClock) {
    let (arrived, ticks) = (clock.now(), clock.ticks())
    let (offset, overflow) = sentAt.nanoseconds.subtractingReportingOverflow(arrived.nanoseconds)
    peers.withLock { peers in
      var peer = peers[cluster] ?? Peer()
      peer.heardAt = ticks
      if !overflow {
        if peer.offsets.count == Self.sampleLimit { peer.offsets.removeFirst() }
        peer.offsets.append(offset)
      }
      peers[cluster] = peer
    }
  }

  /// Peer's clock minus ours in nanoseconds; nil when it has not been heard.
  func offset(of cluster: String) -> Int64? { peers.withLock { $0[cluster]?.offsets.max() } }

  /// Seconds since the last heartbeat of a peer; nil when none came.
  func secondsSinceHeard(_ cluster: String, clock: any EngineClock) -> Double? {
    let now = clock.ticks()
    return peers.withLock { $0[cluster].map { now - $0.heardAt } }
  }
}
