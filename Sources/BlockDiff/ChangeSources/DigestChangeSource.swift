public import ReplModel

/// What a digest comparison came to.
public struct DigestTotals: Hashable, Sendable {
  /// Sum of the whole image.
  public var sum = BlockSum.zero
  /// Bytes read.
  public var bytesRead: UInt64 = 0
  /// Segments whose sum differs.
  public var changedSegments: UInt64 = 0

  public init() {}
}

/// Plans what changed by reading the whole image and comparing the sum of every segment with the one known.
///
/// The image is a snapshot, or a live volume that is watched (``StillnessEvidence``); `check` is how the watch is
/// asked between segments.
public struct DigestChangeSource {
  private let image: any StorageFile
  private let size: UInt64
  private let walk: FingerprintWalk
  private let dropsCache: Bool

  /// - Parameters:
  ///   - size: the volume's size in bytes; an image that ends before is an error, nothing unread counts as zero.
  ///   - dropsCache: whether what was read leaves the page cache; false for live volumes, whose cache belongs to
  ///     production.
  public init(_ image: any StorageFile, size: UInt64, key: FingerprintKey, dropsCache: Bool) {
    self.image = image
    self.size = size
    walk = FingerprintWalk(key: key)
    self.dropsCache = dropsCache
  }

  /// Appends every segment that differs to the plan, which the caller finishes. Takes 1 MiB of memory.
  ///
  /// - Parameters:
  ///   - known: the sum of a segment that need not be read; asked for every segment that is not a hole, ascending.
  ///   - isUnchanged: whether the sum of a segment is the one known of the base, zero beyond the base's end; asked
  ///     for every segment, ascending.
  ///   - newSum: is told the sum of every segment that was read, ascending.
  ///   - check: called before every segment that is not a hole; throws to end the work.
  ///   - pace: called with the bytes about to be read; blocks as long as a limit asks.
  public func run(
    into plan: PlanFile, known: (UInt64) -> BlockSum? = { _ in nil },
    isUnchanged: (UInt64, BlockSum) throws(ReplError) -> Bool, newSum: (UInt64, BlockSum) throws(ReplError) -> Void,
    check: () throws(ReplError) -> Void,
    pace: (UInt64) -> Void = { _ in }
  ) throws(ReplError) -> DigestTotals {
    let buffer = AlignedBuffer(count: Int(segmentSize))
    var totals = DigestTotals()
    var data: Extent? = Extent(offset: 0, length: 0)
    var start: UInt64 = 0
    while start < size {
      let extent = Extent(from: start, to: min(start + segmentSize, size))
      while let run = data, run.end <= extent.offset { data = try image.nextData(from: extent.offset) }
      let segment = start / segmentSize
      var sum = BlockSum.zero
      if let run = data, run.offset < extent.end {
        try check()
        if let known = known(segment) {
          sum = known
        } else {
          pace(extent.length)
          sum = try read(extent, buffer)
          totals.bytesRead += extent.length
          try newSum(segment, sum)
        }
      }
      if try !isUnchanged(segment, sum) {
        try plan.append(extent, sum.nonZeroBlocks == 0 ? .zero : .data)
        totals.changedSegments += 1
      }
      totals.sum += sum
      start = extent.end
    }
    return totals
  }

  private func read(_ extent: Extent, _ buffer: AlignedBuffer) throws(ReplError) -> BlockSum {
    let space = buffer.prefix(Int(extent.length))
    let count = try image.read(into: space, at: extent.offset)
    guard count == space.count else {
      throw ReplError(
        .io, subject: image.path,
        cause: "ends at byte \(extent.offset + UInt64(count)), \(size) bytes were expected",
        remedy: "check whether something shortened the volume")
    }
    if dropsCache { image.dropCache(extent) }
    return walk.sum(of: UnsafeRawBufferPointer(space), at: extent.offset)
  }
}
