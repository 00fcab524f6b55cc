public import ReplModel

/// Changes entries of a ``SegmentTable``, one page in memory at a time: cheap for ascending segments, right for any
/// order. Used by one thread; nothing is written for certain before ``flush()``.
public struct SegmentTableEditor {
  public let table: SegmentTable
  private var page: SegmentPage?
  private var isChanged = false

  public init(_ table: SegmentTable) { self.table = table }

  /// The sum of a segment, changes included.
  public mutating func sum(ofSegment segment: UInt64) throws(ReplError) -> BlockSum {
    guard let sum = try turn(to: segment).sum(ofSegment: segment) else {
      throw ReplError(
        .damaged, subject: table.path, cause: "the entry of segment \(segment) does not match its checksum")
    }
    return sum
  }

  public mutating func set(segment: UInt64, _ sum: BlockSum) throws(ReplError) {
    var current = try turn(to: segment)
    if current.set(segment: segment, sum) { isChanged = true }
    page = current
  }

  /// Writes what is in memory. Not durable before ``SegmentTable/synchronize()``.
  public mutating func flush() throws(ReplError) {
    guard isChanged, let page else { return }
    try table.write(page)
    isChanged = false
  }

  private mutating func turn(to segment: UInt64) throws(ReplError) -> SegmentPage {
    if let page, page.holds(segment) { return page }
    try flush()
    let next = try table.page(containing: segment)
    page = next
    return next
  }
}
