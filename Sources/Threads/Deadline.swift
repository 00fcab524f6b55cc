import Glibc

/// An instant of the monotonic clock by which a wait ends: not moved by changes of the wall clock.
public struct Deadline: Hashable, Sendable, Comparable {
  /// Nanoseconds of CLOCK_MONOTONIC.
  package let nanoseconds: UInt64

  package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  /// No end.
  public static let never = Deadline(nanoseconds: .max)

  /// `duration` from now; a negative one is over already.
  public static func after(_ duration: Duration) -> Deadline {
    let (seconds, attoseconds) = duration.components
    guard seconds < 1 << 33 else { return .never }
    let length = max(0, seconds) * 1_000_000_000 + max(0, attoseconds / 1_000_000_000)
    return Deadline(nanoseconds: now() &+ UInt64(length))
  }

  /// `duration` from now, or never.
  package static func after(optional duration: Duration?) -> Deadline { duration.map(after) ?? .never }

  /// Whether it is over.
  public var isOver: Bool { self != .never && Self.now() >= nanoseconds }

  public static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

  /// For poll(2): milliseconds rounded up, so that a wait never ends early; -1 for no end.
  package var pollMilliseconds: Int32 {
    guard self != .never else { return -1 }
    let now = Self.now()
    guard nanoseconds > now else { return 0 }
    return Int32(clamping: (nanoseconds - now + 999_999) / 1_000_000)
  }

  var timespec: timespec {
    Glibc.timespec(tv_sec: Int(clamping: nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
  }

  private static func now() -> UInt64 {
    var time = Glibc.timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
