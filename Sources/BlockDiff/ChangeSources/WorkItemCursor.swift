public import ReplModel
import Threads

/// A part of a plan within one segment.
public struct PlannedPiece: Hashable, Sendable {
  public var extent: Extent
  public var kind: PlanKind
  /// Whether it need not travel: the target holds it durably, or starts from the same. It counts for sums and progress.
  public var isSettled: Bool

  public init(extent: Extent, kind: PlanKind, isSettled: Bool) {
    self.extent = extent
    self.kind = kind
    self.isSettled = isSettled
  }
}

/// Everything that is planned in one segment.
public struct WorkItem: Hashable, Sendable {
  /// Index of the segment.
  public var segment: UInt64
  /// Ascending, not empty.
  public var pieces: [PlannedPiece]
  /// Of the whole segment, if an earlier pass has recorded it.
  public var sum: BlockSum?

  public init(segment: UInt64, pieces: [PlannedPiece], sum: BlockSum? = nil) {
    self.segment = segment
    self.pieces = pieces
    self.sum = sum
  }
}

/// Hands out the work of a plan, segment by segment, to any number of threads.
public final class WorkItemCursor: Sendable {
  fileprivate struct State {
    let reader: PlanReader
    var settled: (any ExtentStream)?
    var recorded: RecordedSums?
    /// The record being cut up.
    var record: PlannedExtent?
    /// The settled extent that ends last before or after the place reached.
    var covered: Extent?
  }

  private let state: Turn<State>
  /// What the plan says of itself.
  public let summary: PlanSummary

  /// - Parameters:
  ///   - settled: what a resumed session need not ship again: ascending extents.
  ///   - recorded: the sums that it need not take again.
  public init(
    _ reader: sending PlanReader, settled: sending (any ExtentStream)? = nil, recorded: sending RecordedSums? = nil
  ) {
    summary = reader.summary
    state = Turn(State(reader: reader, settled: settled, recorded: recorded))
  }

  /// The next segment's work, or nil when all has been handed out.
  public func next() throws(ReplError) -> WorkItem? {
    try state.take { (state) throws(ReplError) in
      guard let first = try state.current() else { return nil }
      let segment = first.extent.offset / segmentSize
      let limit = Extent(offset: segment * segmentSize, length: segmentSize)
      var item = WorkItem(segment: segment, pieces: [], sum: state.recorded?.sum(of: segment))
      while let record = try state.current(), let part = record.extent.intersection(limit) {
        try state.cut(part, record.kind, into: &item.pieces)
        state.take(part)
      }
      return item
    }
  }

  /// Closes the plan; no call may come afterwards.
  public func close() throws(ReplError) {
    try state.take { (state) throws(ReplError) in try state.reader.close() }
  }
}

extension WorkItemCursor.State {
  mutating func current() throws(ReplError) -> PlannedExtent? {
    if record == nil { record = try reader.next() }
    return record
  }

  /// Takes `part`, the front of the current record, off.
  mutating func take(_ part: Extent) {
    guard let whole = record else { return }
    record =
      part.end == whole.extent.end
      ? nil : PlannedExtent(extent: Extent(from: part.end, to: whole.extent.end), kind: whole.kind)
  }

  /// Cuts `part` at the edges of settled extents.
  mutating func cut(_ part: Extent, _ kind: PlanKind, into pieces: inout [PlannedPiece]) throws(ReplError) {
    var start = part.offset
    while start < part.end {
      try skipSettled(before: start)
      let common = covered?.intersection(Extent(from: start, to: part.end))
      let isSettled = common?.offset == start
      let end = isSettled ? common?.end ?? part.end : common?.offset ?? part.end
      pieces.append(PlannedPiece(extent: Extent(from: start, to: end), kind: kind, isSettled: isSettled))
      start = end
    }
  }

  private mutating func skipSettled(before start: UInt64) throws(ReplError) {
    while settled != nil, covered.map({ $0.end <= start }) ?? true {
      guard let next = try settled?.next() else {
        (covered, settled) = (nil, nil)
        return
      }
      covered = wholeBlocks(of: next)
    }
  }

  /// Only whole blocks count as settled, whoever says so: sums are of blocks.
  private func wholeBlocks(of extent: Extent) -> Extent {
    let size = reader.summary.volumeSize
    guard extent.offset < size else { return Extent(from: size, to: size) }
    let start = (extent.offset + blockSize - 1) / blockSize * blockSize
    return Extent(from: start, to: extent.end >= size ? size : extent.end / blockSize * blockSize)
  }
}
