public import ReplModel

/// Extents in ascending order, disjoint, handed out one at a time: what may grow with a volume is never a list in
/// memory. Used by one thread.
public protocol ExtentStream {
  /// The next extent, or nil at the end. Neighbours may touch only where the conforming type says so.
  mutating func next() throws(ReplError) -> Extent?
}

/// A bounded set as a stream.
public struct ExtentSetStream: ExtentStream, Sendable {
  private var rest: ArraySlice<Extent>

  public init(_ set: ExtentSet) { rest = set.extents[...] }

  public mutating func next() throws(ReplError) -> Extent? { rest.popFirst() }
}

/// The union of two streams, coalesced.
public struct ExtentUnion<First: ExtentStream, Second: ExtentStream>: ExtentStream {
  private var first: First
  private var second: Second
  private var firstHead: Extent?
  private var secondHead: Extent?
  private var isStarted = false

  public init(_ first: First, _ second: Second) {
    self.first = first
    self.second = second
  }

  public mutating func next() throws(ReplError) -> Extent? {
    if !isStarted {
      (firstHead, secondHead) = (try first.next(), try second.next())
      isStarted = true
    }
    guard var merged = try popLowest() else { return nil }
    while let head = lowestHead, head.offset <= merged.end {
      guard let touching = try popLowest() else { break }
      merged = Extent(from: merged.offset, to: max(merged.end, touching.end))
    }
    return merged
  }

  private var lowestHead: Extent? {
    guard let left = firstHead else { return secondHead }
    guard let right = secondHead else { return left }
    return left.offset <= right.offset ? left : right
  }

  private mutating func popLowest() throws(ReplError) -> Extent? {
    guard let lowest = lowestHead else { return nil }
    if lowest == firstHead { firstHead = try first.next() } else { secondHead = try second.next() }
    return lowest
  }
}

/// A stream with its edges rounded outward to whole 4 KiB blocks, cut at the volume's size and coalesced, so that no
/// block comes twice.
public struct BlockRoundedStream<Base: ExtentStream>: ExtentStream {
  private var base: Base
  private let size: UInt64
  private var held: Extent?

  /// - Parameter size: the volume's size in bytes.
  public init(_ base: Base, volumeSize size: UInt64) {
    self.base = base
    self.size = size
  }

  public mutating func next() throws(ReplError) -> Extent? {
    while let extent = try base.next() {
      let rounded = extent.roundedToBlocks(volumeSize: size)
      guard !rounded.isEmpty else { continue }
      guard let current = held else {
        held = rounded
        continue
      }
      if rounded.offset <= current.end {
        held = Extent(from: current.offset, to: max(current.end, rounded.end))
      } else {
        held = rounded
        return current
      }
    }
    defer { held = nil }
    return held
  }
}

extension ExtentUnion: Sendable where First: Sendable, Second: Sendable {}
extension BlockRoundedStream: Sendable where Base: Sendable {}
