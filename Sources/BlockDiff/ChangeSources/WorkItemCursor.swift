public import ReplModel
import Synchronization

/// A part of a plan within one segment.
public struct PlannedPiece: Hashable, Sendable {
  public var extent: Extent
  public var kind: PlanKind
  /// Whether the target holds it durably already: it counts for sums and progress but is not shipped.
  public var isDurable: Bool

  public init(extent: Extent, kind: PlanKind, isDurable: Bool) {
    self.extent = extent
    self.kind = kind
    self.isDurable = isDurable
  }
}

/// Everything that is planned in one segment.
public struct WorkItem: Hashable, Sendable {
  /// Index of the segment.
  public var segment: UInt64
  /// Ascending, not empty.
  public var pieces: [PlannedPiece]

  public init(segment: UInt64, pieces: [PlannedPiece]) {
    self.segment = segment
    self.pieces = pieces
  }
}

/// Hands out the work of a plan, segment by segment, to any number of threads.
public final class WorkItemCursor: Sendable {
  fileprivate struct State {
    let reader: PlanReader
    var durable: (any ExtentStream)?
    /// The record being cut up.
    var record: PlannedExtent?
    /// The durable extent that ends last before or after the place reached.
    var covered: Extent?
  }

  private let state: Mutex<State>
  /// What the plan says of itself.
  public let summary: PlanSummary

  /// `durable` tells what a resumed session need not ship again: ascending extents.
  public init(_ reader: sending PlanReader, durable: sending (any ExtentStream)? = nil) {
    summary = reader.summary
    state = Mutex(State(reader: reader, durable: durable))
  }

  /// The next segment's work, or nil when all has been handed out.
  public func next() throws(ReplError) -> WorkItem? {
    try state.withLock { (state) throws(ReplError) in
      guard let first = try state.current() else { return nil }
      let segment = first.extent.offset / segmentSize
      let limit = Extent(offset: segment * segmentSize, length: segmentSize)
      var item = WorkItem(segment: segment, pieces: [])
      while let record = try state.current(), let part = record.extent.intersection(limit) {
        try state.cut(part, record.kind, into: &item.pieces)
        state.take(part)
      }
      return item
    }
  }

  /// Closes the plan; no call may come afterwards.
  public func close() throws(ReplError) {
    try state.withLock { (state) throws(ReplError) in try state.reader.close() }
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

  /// Cuts `part` at the edges of durable extents.
  mutating func cut(_ part: Extent, _ kind: PlanKind, into pieces: inout [PlannedPiece]) throws(ReplError) {
    var start = part.offset
    while start < part.end {
      try skipDurable(before: start)
      let common = covered?.intersection(Extent(from: start, to: part.end))
      let isDurable = common?.offset == start
      let end = isDurable ? common?.end ?? part.end : common?.offset ?? part.end
      pieces.append(PlannedPiece(extent: Extent(from: start, to: end), kind: kind, isDurable: isDurable))
      start = end
    }
  }

  private mutating func skipDurable(before start: UInt64) throws(ReplError) {
    while durable != nil, covered.map({ $0.end <= start }) ?? true {
      guard let next = try durable?.next() else {
        (covered, durable) = (nil, nil)
        return
      }
      covered = wholeBlocks(of: next)
    }
  }

  /// Only whole blocks count as durable, whoever says so: sums are of blocks.
  private func wholeBlocks(of extent: Extent) -> Extent {
    let size = reader.summary.volumeSize
    guard extent.offset < size else { return Extent(from: size, to: size) }
    let start = (extent.offset + blockSize - 1) / blockSize * blockSize
    return Extent(from: start, to: extent.end >= size ? size : extent.end / blockSize * blockSize)
  }
}
