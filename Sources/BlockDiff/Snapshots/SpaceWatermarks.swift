import ReplModel

/// How much room a source pool has left.
public enum SpaceLevel: Int, Hashable, Sendable, Comparable {
  /// Below the floor: even pinned bases give way to production.
  case floor = 0
  /// Below the low mark: no snapshots, and what is not needed goes.
  case low = 1
  case ok = 2

  public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// The marks below which snapshots give way to production (design section 5).
public struct SpaceWatermarks: Hashable, Sendable {
  /// The low mark is the smaller of this part of the file system, 0 to 1 …
  public var lowFraction: Double
  /// … and this many bytes, so that large file systems need not keep hundreds of gigabytes free.
  public var lowBytes: UInt64
  /// The floor as a part of the file system, 0 to 1; never above half of the low mark.
  public var floorFraction: Double

  public init(lowFraction: Double = 0.10, lowBytes: UInt64 = 20 << 30, floorFraction: Double = 0.05) {
    self.lowFraction = min(max(lowFraction, 0), 1)
    self.lowBytes = lowBytes
    self.floorFraction = min(max(floorFraction, 0), 1)
  }

  /// Bytes that must be available for snapshots to be taken.
  public func lowMark(total: UInt64) -> UInt64 { min(Self.part(lowFraction, of: total), lowBytes) }

  /// Bytes below which pinned bases are dropped.
  public func floorMark(total: UInt64) -> UInt64 {
    min(Self.part(floorFraction, of: total), lowMark(total: total) / 2)
  }

  public func level(of space: FileSystemSpace) -> SpaceLevel {
    if space.available < floorMark(total: space.total) { return .floor }
    return space.available < lowMark(total: space.total) ? .low : .ok
  }

  private static func part(_ fraction: Double, of total: UInt64) -> UInt64 {
    UInt64(exactly: (Double(total) * fraction).rounded(.down)) ?? total
  }
}
