import ReplModel

/// The sums that earlier passes over a snapshot have recorded, asked for in ascending order. Used by one thread.
public struct RecordedSums {
  private let size: UInt64
  private var entries: SegmentTableEditor
  private var summed: LedgerMerge
  /// The recorded extent at or behind the segment asked for last.
  private var head: Extent?
  private var isAtEnd = false

  init(table: SegmentTable, size: UInt64, summed: LedgerMerge) {
    self.size = size
    self.summed = summed
    entries = SegmentTableEditor(table)
  }

  /// The sum of a segment; nil when it has to be read, or its entry cannot be.
  public mutating func sum(of segment: UInt64) -> BlockSum? {
    let extent = Extent(from: segment * segmentSize, to: min((segment + 1) * segmentSize, size))
    while !isAtEnd, head.map({ $0.end <= extent.offset }) ?? true {
      head = (try? summed.next()) ?? nil
      isAtEnd = head == nil
    }
    guard let head, head.offset <= extent.offset, extent.end <= head.end else { return nil }
    return try? entries.sum(ofSegment: segment)
  }
}
