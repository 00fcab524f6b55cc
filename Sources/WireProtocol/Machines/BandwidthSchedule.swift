/// How many bytes a second may be sent at which time of the day.
public struct BandwidthSchedule: Hashable, Sendable {
  public static let secondsPerDay = 86400

  /// A part of the day with a limit of its own. One that ends before it begins goes over midnight.
  public struct Window: Hashable, Sendable {
    /// Seconds since local midnight, 0 to 86,399.
    public var start: Int
    /// Seconds since local midnight, first second outside the window.
    public var end: Int
    /// Nil for no limit.
    public var bytesPerSecond: UInt64?
    public init(start: Int, end: Int, bytesPerSecond: UInt64?) {
      self.start = start
      self.end = end
      self.bytesPerSecond = bytesPerSecond
    }

    func contains(_ second: Int) -> Bool {
      start <= end ? (start..<end).contains(second) : second >= start || second < end
    }
  }

  /// Outside every window; nil for no limit.
  public var bytesPerSecond: UInt64?
  /// The first that contains the second counts.
  public var windows: [Window]

  public init(bytesPerSecond: UInt64?, windows: [Window] = []) {
    self.bytesPerSecond = bytesPerSecond
    self.windows = windows
  }

  /// The limit at a second of the local day; nil for none.
  public func limit(at secondOfDay: Int) -> UInt64? {
    guard let window = windows.first(where: { $0.contains(secondOfDay) }) else { return bytesPerSecond }
    return window.bytesPerSecond
  }
}

/// Limits what is sent. Pure; instants are passed in, in nanoseconds of a clock that never goes back.
///
/// Bytes are taken at once and may leave a debt, whose time the caller waits before it sends: whoever asks next waits
/// behind, so that streams share fairly and no chunk is larger than the bucket.
public struct TokenBucket: Hashable, Sendable {
  public private(set) var schedule: BandwidthSchedule
  /// Nanoseconds of the limit that may be saved up for a burst: 1/10 second.
  public static let burst: Double = 100_000_000

  /// Bytes that may be sent at ``updatedAt``; negative when there is a debt.
  private var tokens: Double = 0
  private var updatedAt: UInt64?

  public init(_ schedule: BandwidthSchedule) { self.schedule = schedule }

  /// Puts another schedule in force; a debt stays.
  public mutating func replaceSchedule(_ schedule: BandwidthSchedule) { self.schedule = schedule }

  /// Takes `bytes` and says how many nanoseconds to wait before sending them.
  public mutating func take(_ bytes: Int, at now: UInt64, secondOfDay: Int) -> UInt64 {
    guard let limit = schedule.limit(at: secondOfDay) else {
      (tokens, updatedAt) = (0, now)
      return 0
    }
    let rate = Double(max(limit, 1)) / 1e9
    let elapsed = updatedAt.map { now >= $0 ? Double(now - $0) : 0 } ?? Self.burst
    tokens = min(tokens + elapsed * rate, Self.burst * rate) - Double(bytes)
    updatedAt = now
    return tokens >= 0 ? 0 : UInt64(min(-tokens / rate, Double(Int64.max) / 2))
  }
}
