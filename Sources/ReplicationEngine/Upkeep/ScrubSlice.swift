import BlockDiff
import ReplModel

/// A part of a scrub: segments in ascending order until enough was read.
enum ScrubSlice {
  enum Outcome: Equatable {
    /// All were clean; the next slice begins at this segment.
    case more(UInt64)
    /// All were clean, and there are no more.
    case end
    /// One is not what the table says, or cannot be read.
    case different
  }

  static func read(_ walk: inout ScrubWalk, atMost bytes: UInt64, pace: Pace) throws(ReplError) -> Outcome {
    var read: UInt64 = 0
    while read < bytes {
      guard let step = try walk.next(pace: pace) else { return .end }
      guard step.isClean else { return .different }
      read += step.extent.length
    }
    return .more(walk.position)
  }
}
