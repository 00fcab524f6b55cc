public import ReplModel

/// How far the peer's clock is ahead of ours, estimated from heartbeats as NTP does. Of the newest samples the one with the
/// shortest delay is believed: its error is at most half that delay.
public struct ClockOffset: Hashable, Sendable {
  /// Samples remembered.
  public static let sampleLimit = 8
  /// Nanoseconds from which on an offset is worth a warning: 5 seconds.
  public static let warningThreshold: Int64 = 5_000_000_000

  private struct Sample: Hashable, Sendable {
    var offset: Int64
    var delay: Int64
  }

  private var samples: [Sample] = []

  public init() {}

  /// Adds the answer to a heartbeat; one in which a clock jumped (a negative delay) is dropped.
  ///
  /// - Parameter arrivedAt: our clock when the answer came.
  public mutating func record(_ reply: HeartbeatReply, arrivedAt: Timestamp) {
    let out = reply.receivedAt.nanoseconds &- reply.sentAt.nanoseconds
    let back = reply.repliedAt.nanoseconds &- arrivedAt.nanoseconds
    let delay = out &- back
    guard delay >= 0, reply.repliedAt >= reply.receivedAt, arrivedAt >= reply.sentAt else { return }
    if samples.count == Self.sampleLimit { samples.removeFirst() }
    samples.append(Sample(offset: out / 2 + back / 2, delay: delay))
  }

  /// Nanoseconds to add to our clock to get the peer's; nil before the first heartbeat.
  public var nanoseconds: Int64? { best?.offset }
  /// Half the round trip of the sample believed, in nanoseconds: the error is not larger.
  public var uncertainty: Int64? { best.map { $0.delay / 2 } }
  /// Whether the clocks differ by more than ``warningThreshold`` for certain.
  public var needsWarning: Bool {
    guard let nanoseconds, let uncertainty else { return false }
    return nanoseconds.magnitude > UInt64(Self.warningThreshold + uncertainty)
  }

  /// An instant of the peer's clock by ours; unchanged before the first heartbeat.
  public func local(_ remote: Timestamp) -> Timestamp {
    Timestamp(nanoseconds: remote.nanoseconds &- (nanoseconds ?? 0))
  }

  /// Forgets all samples: after our own clock was set.
  public mutating func reset() { samples = [] }

  private var best: Sample? { samples.min { $0.delay < $1.delay } }
}
