public import ReplModel

/// Compares an image with its segment table, one segment a step, in ascending order: every segment that has allocated
/// blocks or an entry in the table. For the background scrub and for `verify`. Used by one thread.
public struct ScrubWalk {
  /// What reading a segment showed.
  public enum Finding: Sendable {
    /// The bytes add up to what the table says.
    case equal
    /// They do not: damage, or at the source a missed change.
    case different(expected: BlockSum)
    /// The entry of the table is damaged; the bytes may be right.
    case tableDamaged
    /// The file system could not read it.
    case unreadable(ReplError)
  }

  /// One step's result.
  public struct Step: Sendable {
    public let segment: UInt64
    /// Byte range of the volume; the last segment may be short.
    public let extent: Extent
    /// What the bytes add up to; nil if unreadable.
    public let actual: BlockSum?
    public let finding: Finding

    /// Whether nothing is wrong with the segment.
    public var isClean: Bool { if case .equal = finding { true } else { false } }
  }

  /// The segment at which the next step begins to look: keep it to go on later.
  public private(set) var position: UInt64
  private let table: SegmentTable
  private var reader: FingerprintReader
  private var page: SegmentPage?

  /// - Parameters:
  ///   - image: the file, with the size that the table says.
  ///   - position: where an earlier walk stopped.
  public init(
    image: any StorageFile, table: SegmentTable, key: FingerprintKey, from position: UInt64 = 0
  ) throws(ReplError) {
    guard table.keyID == key.id else {
      throw ReplError(.keyNeeded, subject: table.path, cause: "was made with another fingerprint key")
    }
    self.table = table
    // What was kept may be of a volume that was larger, or nonsense.
    self.position = min(position, table.segmentCount)
    reader = FingerprintReader(
      image, size: table.volumeSize, key: key, buffer: AlignedBuffer(count: Int(segmentSize)), readsMedium: true)
  }

  /// Reads the next segment there is anything to say about; nil at the end. `pace` is called before each read and may
  /// end the walk by throwing; the same segment comes again then.
  public mutating func next(pace: Pace = { (_) in }) throws(ReplError) -> Step? {
    guard let segment = try nextSegment() else {
      position = table.segmentCount
      return nil
    }
    let extent = Extent(
      from: segment * segmentSize, to: min((segment + 1) * segmentSize, table.volumeSize))
    let actual: BlockSum
    do throws(ReplError) {
      actual = try reader.sum(extent, pace: pace)
    } catch  where error.kind == .io {
      position = segment + 1
      return Step(segment: segment, extent: extent, actual: nil, finding: .unreadable(error))
    } catch { throw error }
    let finding: Finding =
      switch try page(of: segment).sum(ofSegment: segment) {
      case nil: .tableDamaged
      case actual?: .equal
      case let expected?: .different(expected: expected)
      }
    position = segment + 1
    return Step(segment: segment, extent: extent, actual: actual, finding: finding)
  }

  private mutating func nextSegment() throws(ReplError) -> UInt64? {
    let allocated = try reader.nextDataOffset(from: position * segmentSize).map { max($0 / segmentSize, position) }
    if allocated == position { return allocated }
    let listed = try nextListed(before: allocated ?? table.segmentCount)
    return listed ?? allocated
  }

  /// The first segment from `position` on, below `limit`, whose entry is not empty.
  private mutating func nextListed(before limit: UInt64) throws(ReplError) -> UInt64? {
    var segment = position
    while segment < limit {
      guard let used = try usedPage(from: segment), used.firstSegment < limit else { return nil }
      let end = min(used.firstSegment + UInt64(SegmentPage.entryCount), limit)
      if let found = (max(used.firstSegment, segment)..<end).first(where: { used.isUsed(segment: $0) }) { return found }
      segment = end
    }
    return nil
  }

  private mutating func usedPage(from segment: UInt64) throws(ReplError) -> SegmentPage? {
    if let page, page.holds(segment) { return page }
    guard let next = try table.nextUsedPage(from: segment) else { return nil }
    page = next
    return next
  }

  private mutating func page(of segment: UInt64) throws(ReplError) -> SegmentPage {
    if let page, page.holds(segment) { return page }
    let next = try table.page(containing: segment)
    page = next
    return next
  }
}
