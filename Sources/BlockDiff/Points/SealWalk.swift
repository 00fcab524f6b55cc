import ReplModel

/// The one walk at seal time: over all blocks of the touched extents, the old value from the sealed base and the new
/// one from the staging image, both read now. Nothing comes from receive buffers, and no block comes twice.
struct SealWalk {
  /// The sealed base: its sum, size and reader, its table and who watches that.
  struct Base {
    var sum: BlockSum
    var reader: FingerprintReader
    var table: SegmentTable
    var witness: ReadWitness
  }

  private var base: Base
  private var image: FingerprintReader
  private var editor: SegmentTableEditor
  private var baseEntries: SegmentTableEditor
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
    baseEntries = SegmentTableEditor(base.table)
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
    while let data = try nextData(from: position), data < extent.end {
      try pace(0)
      position = max(position, data / blockSize * blockSize)
      let index = position / segmentSize
      let piece = Extent(from: position, to: min(extent.end, (index + 1) * segmentSize))
      if index != segment { try finishSegment() }
      segment = index
      change += try image.sum(piece, pace: pace)
      change -= try base.reader.sum(piece, pace: pace)
      position = piece.end
    }
  }

  /// Where the old or the new image has data next: what is a hole in both sums to zero, however long it is.
  private mutating func nextData(from position: UInt64) throws(ReplError) -> UInt64? {
    let (new, old) = (try image.nextDataOffset(from: position), try base.reader.nextDataOffset(from: position))
    guard let new, let old else { return new ?? old }
    return min(new, old)
  }

  private mutating func finishSegment() throws(ReplError) {
    defer {
      segment = nil
      change = .zero
    }
    guard let segment else { return }
    total += change
    guard segment < editor.table.segmentCount, change != .zero else { return }
    try editor.set(segment: segment, try baseSum(ofSegment: segment) + change)
  }

  /// From the base's own table, so that an entry that cannot be read is the base's and not ours, which shares its blocks.
  private mutating func baseSum(ofSegment segment: UInt64) throws(ReplError) -> BlockSum {
    guard segment < base.table.segmentCount else { return .zero }
    return try base.witness.watch { () throws(ReplError) in try baseEntries.sum(ofSegment: segment) }
  }
}
