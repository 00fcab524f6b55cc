public import ReplModel

/// Sums the blocks of a file by reading it: holes cost nothing, nothing is read twice, and what was read leaves the
/// page cache again. Used by one thread.
public struct FingerprintReader {
  /// Bytes of the volume the file holds; what lies beyond is never read.
  public let size: UInt64
  private let file: any StorageFile
  private let walk: FingerprintWalk
  private let buffer: AlignedBuffer
  private var cursor: DataCursor

  /// - Parameters:
  ///   - size: the volume's size in bytes; the file must not be shorter.
  ///   - buffer: at least one block long, may be shared between readers of one thread.
  ///   - readsMedium: drops cached pages before reading, so that what was just written and synced is read back and not
  ///     compared with itself.
  public init(
    _ file: any StorageFile, size: UInt64, key: FingerprintKey, buffer: AlignedBuffer, readsMedium: Bool = false
  ) {
    precondition(buffer.count >= Int(blockSize))
    self.file = file
    self.size = size
    self.buffer = buffer
    walk = FingerprintWalk(key: key)
    cursor = DataCursor(file)
    // All at once: the kernel keeps a large folio of which only a part is let go, and would answer from it for ever.
    if readsMedium { file.dropCache(Extent(offset: 0, length: size)) }
  }

  /// The sum of a range; `extent` begins at a block boundary, and ends at one or at or beyond the volume's end.
  public mutating func sum(_ extent: Extent, pace: Pace = { (_) in }) throws(ReplError) -> BlockSum {
    var total = BlockSum.zero
    var position = extent.offset
    let end = min(extent.end, size)
    while position < end, let piece = try nextPiece(from: position, to: end) {
      try pace(piece.length)
      let bytes = try read(piece)
      total += walk.sum(of: bytes, at: piece.offset)
      file.dropCache(piece)
      position = piece.end
    }
    return total
  }

  /// The first byte at or after `offset` that is not in a hole, or nil when only holes follow.
  mutating func nextDataOffset(from offset: UInt64) throws(ReplError) -> UInt64? {
    guard offset < size else { return nil }
    return try cursor.firstData(in: Extent(from: offset, to: size))?.offset
  }

  /// The next allocated blocks, at most a buffer of them.
  private mutating func nextPiece(from position: UInt64, to end: UInt64) throws(ReplError) -> Extent? {
    guard let data = try cursor.firstData(in: Extent(from: position, to: end)) else { return nil }
    let blocks = data.roundedToBlocks(volumeSize: size)
    let start = max(blocks.offset, position)
    let limit = UInt64(buffer.count) / blockSize * blockSize
    return Extent(from: start, to: min(blocks.end, end, start + limit))
  }

  private func read(_ piece: Extent) throws(ReplError) -> UnsafeRawBufferPointer {
    let target = buffer.prefix(Int(piece.length))
    let count = try file.read(into: target, at: piece.offset)
    guard count == target.count else {
      throw ReplError(
        .io, subject: file.path, cause: "ends at byte \(piece.offset + UInt64(count)), expected \(size) bytes")
    }
    return UnsafeRawBufferPointer(target)
  }
}
