import ReplModel

/// The one walk at seal time: over all blocks of the touched extents, the old value from the sealed base and the new
/// one from the staging image, both read now. Nothing comes from receive buffers, and no block comes twice.
struct SealWalk {
  /// The sealed base: its sum, size and reader.
  struct Base {
    var sum: BlockSum
    var reader: FingerprintReader
  }

  private var base: Base
  private var image: FingerprintReader
  private var editor: SegmentTableEditor
  private var total: BlockSum
  private var segment: UInt64?
  private var change = BlockSum.zero
  private let pace: Pace

  /// - Parameter table: a fresh clone of the base's table, sized for the new volume; its entries are brought up to date.
  init(base: Base, image: FingerprintReader, table: SegmentTable, pace: @escaping Pace) {
    self.base = base
    self.image = image
    self.pace = pace
    editor = SegmentTableEditor(table)
    total = base.sum
  }

  /// The sum of the staging image, given that all it differs in from the base lies in `touched`.
  mutating func run(_ touched: some ExtentStream) throws(ReplError) -> BlockSum {
    // What lay behind the new end of a volume that became smaller is gone.
    let tail = Extent(
      from: min(image.size, base.reader.size) / blockSize * blockSize, to: max(image.size, base.reader.size))
    var gone = ExtentSet()
    if base.reader.size > image.size { gone.insert(tail) }
    let end = (max(image.size, base.reader.size) + blockSize - 1) / blockSize * blockSize
    var blocks = BlockRoundedStream(ExtentUnion(touched, ExtentSetStream(gone)), volumeSize: end)
    while let extent = try blocks.next() { try add(extent) }
    try finishSegment()
    try editor.flush()
    return total
  }

  private mutating func add(_ extent: Extent) throws(ReplError) {
    var position = extent.offset
    while position < extent.end {
      let index = position / segmentSize
      let piece = Extent(from: position, to: min(extent.end, (index + 1) * segmentSize))
      if index != segment { try finishSegment() }
      segment = index
      change += try image.sum(piece, pace: pace)
      change -= try base.reader.sum(piece, pace: pace)
      position = piece.end
    }
  }

  private mutating func finishSegment() throws(ReplError) {
    defer {
      segment = nil
      change = .zero
    }
    guard let segment else { return }
    total += change
    guard segment < editor.table.segmentCount, change != .zero else { return }
    try editor.set(segment: segment, try editor.sum(ofSegment: segment) + change)
  }
}
