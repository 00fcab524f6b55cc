import ReplModel
import Synchronization

/// How far the clocks of peers are ahead of ours, by the heartbeats they send: for peers that this agent does not ask
/// itself. Any thread may call.
///
/// A heartbeat says when it was sent, so what is heard is the offset less the time it took to come; the largest of the
/// newest few is the nearest.
final class HeardClocks: Sendable {
  private static let sampleLimit = 8
  private let samples = Mutex<[String: [Int64]]>([:])

  /// Notes a heartbeat of a peer that TLS has authenticated.
  func heard(_ sentAt: Timestamp, from cluster: String, at arrived: Timestamp) {
    let (offset, overflow) = sentAt.nanoseconds.subtractingReportingOverflow(arrived.nanoseconds)
    guard !overflow else { return }
    samples.withLock { samples in
      var known = samples[cluster] ?? []
      if known.count == Self.sampleLimit { known.removeFirst() }
      samples[cluster] = known + [offset]
    }
  }

  /// Peer's clock minus ours in nanoseconds; nil when it has not been heard.
  func offset(of cluster: String) -> Int64? { samples.withLock { $0[cluster]?.max() } }
}
