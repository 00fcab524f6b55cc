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
