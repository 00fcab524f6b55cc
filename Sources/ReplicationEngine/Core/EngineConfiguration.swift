public import BlockDiff
public import Foundation
public import ReplModel

/// A pool as the configuration names it.
public struct PoolConfiguration: Hashable, Sendable {
  public var name: String
  /// Absolute path of an existing directory.
  public var path: String
  public init(name: String, path: String) {
    self.name = name
    self.path = path
  }
}

/// How much of a pool something may take.
public enum StorageLimit: Hashable, Sendable {
  case bytes(UInt64)
  /// Of the pool's file system, 1 to 100.
  case percent(UInt64)

  /// Bytes, of a file system with `total` bytes.
  func bytes(of total: UInt64) -> UInt64 {
    switch self {
    case .bytes(let bytes): bytes
    case .percent(let percent): total / 100 * min(percent, 100)
    }
  }
}

/// What the engine needs to know; the daemon makes it from the configuration file.
public struct EngineConfiguration: Sendable {
  public var clusterID: String
  public var node: String
  /// Absolute path, owned by the agent.
  public var stateDirectory: String
  public var pools: [PoolConfiguration]
  /// Absolute paths under which imports may lie.
  public var allowedPaths: [String]
  /// Address both ports listen on.
  public var listenAddress: String = "0.0.0.0"
  public var controlPort: UInt16 = 9001
  public var dataPort: UInt16 = 9010
  /// Data streams of one session, 1 to 16.
  public var streams: Int = 2
  /// Sessions shipping at once, 1 to 64.
  public var concurrentVolumes: Int = 4
  /// Bytes for the buffers of data streams.
  public var memory: UInt64 = 64 << 20
  /// Bytes a second over all sessions, by the time of the day.
  public var bandwidth = BandwidthSchedule(bytesPerSecond: nil)
  /// Where the day of ``bandwidth`` begins at midnight.
  public var timeZone = TimeZone.current
  /// What one peer may take of each pool. Nil: all of it, or a part where several clusters use the pool
  /// (``RoomMaker/sharedLimit``).
  public var peerStorage: StorageLimit?
  /// Seconds in which every allocated segment is scrubbed once.
  public var scrubPeriod: Double = 7 * 86400
  /// Most bytes a second a scrub reads.
  public var scrubRate: UInt64 = 64 << 20
  /// Which points are kept.
  public var retention = RetentionPolicy(keepLast: 10)
  /// Seconds that pins, keys and trust outlive the last ClusterPair of a peer.
  public var pairRetention: Double = 7 * 86400
  /// A CA key in PEM to take over at the first start, if there is such a file.
  public var authorityKeyFile: String?
  /// Reported to peers and people.
  public var version: String = "0.1.0"

  public init(
    clusterID: String, node: String, stateDirectory: String, pools: [PoolConfiguration], allowedPaths: [String]
  ) {
    self.clusterID = clusterID
    self.node = node
    self.stateDirectory = stateDirectory
    self.pools = pools
    self.allowedPaths = allowedPaths
  }

  /// Bytes of buffers that one data stream takes at either end: two segments, a compressed one, what TLS holds.
  static let memoryPerStream: UInt64 = 4 << 20

  /// Data streams that ``memory`` is enough for, at least one.
  var streamsInMemory: Int { Int(clamping: max(1, memory / Self.memoryPerStream)) }

  /// Data streams of one session as source.
  var effectiveStreams: Int { max(1, min(streams, streamsInMemory)) }

  /// Sessions shipping at once as source: no more than the memory is enough for.
  var effectiveVolumes: Int { max(1, min(concurrentVolumes, streamsInMemory / effectiveStreams)) }
}

/// The engine's only source of time; tests and simulations inject their own.
public protocol EngineClock: Sendable {
  /// Wall clock, UTC.
  func now() -> Timestamp
  /// Monotonic seconds from an arbitrary start.
  func ticks() -> Double
  /// Blocks the calling thread.
  func sleep(seconds: Double)
}
