public import ReplModel

/// Recomputes the sum of a whole file from what it holds, segment by segment, reading allocated ranges only.
public enum FingerprintScan {
  /// The sum of the volume in `file`.
  ///
  /// - Parameters:
  ///   - size: the volume's size in bytes.
  ///   - readsMedium: drops cached pages before reading.
  ///   - pace: called before each read.
  ///   - segment: called in ascending order for each segment that has allocated blocks; all others sum to zero.
  public static func sum(
    of file: any StorageFile, size: UInt64, key: FingerprintKey, readsMedium: Bool = false,
    pace: Pace = { (_) in },
    segment: (_ index: UInt64, _ sum: BlockSum) throws(ReplError) -> Void = { (_, _) in }
  ) throws(ReplError) -> BlockSum {
    var reader = FingerprintReader(
      file, size: size, key: key, buffer: AlignedBuffer(count: Int(segmentSize)), readsMedium: readsMedium)
    var total = BlockSum.zero
    var position: UInt64 = 0
    while let offset = try reader.nextDataOffset(from: position) {
      let index = offset / segmentSize
      let sum = try reader.sum(Extent(offset: index * segmentSize, length: segmentSize), pace: pace)
      try segment(index, sum)
      total += sum
      position = (index + 1) * segmentSize
    }
    return total
  }
}

/// Count of 1 MiB segments, the last one possibly partial, of a volume of `size` bytes.
public func segmentCount(ofVolume size: UInt64) -> UInt64 {
  size / segmentSize + (size % segmentSize == 0 ? 0 : 1)
}
