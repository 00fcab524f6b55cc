public import ReplModel

/// Plans a full copy: every allocated range of an image, holes left out.
public struct FullChangeSource {
  private let image: any StorageFile
  private let size: UInt64

  /// `size` is the volume's size in bytes.
  public init(_ image: any StorageFile, size: UInt64) {
    self.image = image
    self.size = size
  }

  /// Appends the plan's extents, whole blocks cut at the size; the caller finishes the plan.
  public func run(into plan: PlanFile) throws(ReplError) {
    var planned: UInt64 = 0
    while planned < size, let found = try image.nextData(from: planned) {
      guard found.offset < size else { break }
      let blocks = found.roundedToBlocks(volumeSize: size)
      // Two ranges of data may share a block where the file system's blocks are smaller.
      let start = max(blocks.offset, planned)
      if start < blocks.end { try plan.append(Extent(from: start, to: blocks.end), .data) }
      planned = max(planned, blocks.end)
    }
  }
}
