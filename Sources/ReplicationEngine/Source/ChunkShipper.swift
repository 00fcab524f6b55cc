import BlockDiff
import ReplModel
import Synchronization
import Threads

/// Works a plan off: reads the snapshot, trims against the base, sums, and ships what differs. One per session; each
/// of its stream threads calls ``run(_:)`` with a link of its own, and they share the plan.
final class ChunkShipper: Sendable {
  /// What the target's staging starts from, and with it what must be shipped.
  enum Mode: Sendable {
    /// An empty file: zeros need not travel.
    case empty
    /// A clone of this base, whose twin is at hand; `sums` watches the entries of its table.
    case base(any StorageFile, size: UInt64, entries: SegmentTable, sums: ReadWitness)
    /// A clone of a base we cannot read; the sums of all segments are known already.
    case knownSums
  }

  private struct Total: ~Copyable {
    var delta = BlockSum.zero
    /// Of the base's table; nil without one.
    var baseEntries: SegmentTableEditor?
  }

  private let image: any StorageFile
  private let mode: Mode
  private let volumeSize: UInt64
  private let maxChunk: Int
  private let walk: FingerprintWalk
  private let cursor: WorkItemCursor
  private let progress: ShipProgress
  private let pace: @Sendable (UInt64) -> Void
  private let still: @Sendable () throws(ReplError) -> Void
  private let sums: SnapshotSums?
  private let total: Turn<Total>
  private let hasFailed = Atomic<Bool>(false)

  /// - Parameters:
  ///   - sums: those of the new snapshot, completed as segments are read; nil when all of them are known.
  ///   - pace: called before bytes are sent; blocks as long as the bandwidth limit asks.
  ///   - still: throws when the source is seen to change under our hands.
  init(
    image: any StorageFile, mode: Mode, volumeSize: UInt64, maxChunk: UInt32, key: FingerprintKey,
    cursor: WorkItemCursor, sums: SnapshotSums?, progress: ShipProgress, pace: @escaping @Sendable (UInt64) -> Void,
    still: @escaping @Sendable () throws(ReplError) -> Void
  ) {
    self.image = image
    self.mode = mode
    self.volumeSize = volumeSize
    self.maxChunk = Int(maxChunk)
    walk = FingerprintWalk(key: key)
    self.cursor = cursor
    self.progress = progress
    self.pace = pace
    self.still = still
    self.sums = sums
    if case .base(_, _, let entries, _) = mode {
      total = Turn(Total(baseEntries: SegmentTableEditor(entries)))
    } else {
      total = Turn(Total())
    }
  }

  /// The sum of all differences, once every thread has returned.
  func finishSums() throws(ReplError) -> BlockSum {
    try sums?.flush()
    return total.take { $0.delta }
  }

  /// Ships items until the plan is empty. Blocks; call on a thread of its own.
  func run(_ link: any ChunkLink) throws(ReplError) {
    do throws(ReplError) {
      try shipAll(link)
    } catch {
      hasFailed.store(true, ordering: .relaxed)
      throw error
    }
  }

  private func shipAll(_ link: any ChunkLink) throws(ReplError) {
    var worker = Worker(shipper: self, link: link)
    while let item = try cursor.next() {
      // The thread that failed says why; without it the plan cannot become whole.
      if hasFailed.load(ordering: .relaxed) { return }
      if progress.isCancelled { throw ReplError(.cancelled, subject: image.path, cause: "the session was cancelled") }
      try still()
      try worker.ship(item)
    }
    try link.finish()
  }

  /// The state of one thread: two buffers of a segment each, used again for every item.
  private struct Worker {
    let shipper: ChunkShipper
    let link: any ChunkLink
    let new = AlignedBuffer(count: Int(segmentSize))
    let old = AlignedBuffer(count: Int(segmentSize))
    var runs: [Extent] = []
    /// Blocks of the item that turned out to be those that the target starts from.
    var equal: [Extent] = []

    mutating func ship(_ item: WorkItem) throws(ReplError) {
      equal.removeAll(keepingCapacity: true)
      var delta = BlockSum.zero
      for piece in item.pieces {
        // It need not travel, and its sum was taken while planning or by an earlier pass.
        let isThrough = piece.isSettled && (item.sum != nil || shipper.sums == nil)
        if !isThrough { delta += try ship(piece) }
        shipper.progress.add(done: piece.extent.length)
      }
      try shipper.add(delta, item, equal)
    }

    private mutating func ship(_ piece: PlannedPiece) throws(ReplError) -> BlockSum {
      let extent = piece.extent
      let bytes = try readNew(extent, isZero: piece.kind == .zero)
      guard case .base(let base, let baseSize, _, _) = shipper.mode else {
        try shipRun(extent, bytes, piece)
        return shipper.sums == nil ? .zero : shipper.walk.sum(of: bytes, at: extent.offset)
      }
      let before = try readOld(extent, from: base, size: baseSize)
      runs.removeAll(keepingCapacity: true)
      BlockTrim.differingRuns(new: bytes, base: before, at: extent.offset, into: &runs)
      var delta = BlockSum.zero
      var position = extent.offset
      for run in runs {
        noteEqual(from: position, to: run.offset)
        position = run.end
        let range = Int(run.offset - extent.offset)..<Int(run.end - extent.offset)
        let changed = UnsafeRawBufferPointer(rebasing: bytes[range])
        delta += shipper.walk.sum(of: changed, at: run.offset)
        delta -= shipper.walk.sum(of: UnsafeRawBufferPointer(rebasing: before[range]), at: run.offset)
        try shipRun(run, changed, piece)
      }
      noteEqual(from: position, to: extent.end)
      return delta
    }

    private mutating func noteEqual(from start: UInt64, to end: UInt64) {
      if start < end { equal.append(Extent(from: start, to: end)) }
    }

    private func readNew(_ extent: Extent, isZero: Bool) throws(ReplError) -> UnsafeRawBufferPointer {
      let target = new.prefix(Int(extent.length))
      if isZero {
        target.initializeMemory(as: UInt8.self, repeating: 0)
        return UnsafeRawBufferPointer(target)
      }
      let count = try shipper.image.read(into: target, at: extent.offset)
      guard count == target.count else {
        throw ReplError(
          .io, subject: shipper.image.path,
          cause: "ends at byte \(extent.offset + UInt64(count)) in the middle of a read")
      }
      shipper.image.dropCache(extent)
      return UnsafeRawBufferPointer(target)
    }

    /// The base's bytes; beyond its end it counts as zeros.
    private func readOld(
      _ extent: Extent, from base: any StorageFile, size: UInt64
    ) throws(ReplError) -> UnsafeRawBufferPointer {
      let target = old.prefix(Int(extent.length))
      let wanted = extent.offset < size ? Int(min(extent.end, size) - extent.offset) : 0
      if wanted > 0 {
        let count = try base.read(into: UnsafeMutableRawBufferPointer(rebasing: target[..<wanted]), at: extent.offset)
        guard count == wanted else {
          throw ReplError(.damaged, subject: base.path, cause: "is shorter than its \(size) bytes")
        }
        base.dropCache(extent)
      }
      UnsafeMutableRawBufferPointer(rebasing: target[wanted...]).initializeMemory(as: UInt8.self, repeating: 0)
      return UnsafeRawBufferPointer(target)
    }

    /// Ships a run that differs: blocks of zeros as zero runs, the rest as chunks.
    private mutating func shipRun(
      _ run: Extent, _ bytes: UnsafeRawBufferPointer, _ piece: PlannedPiece
    ) throws(ReplError) {
      guard !piece.isSettled else { return }
      var position = 0
      while position < bytes.count {
        let isZero = BlockTrim.isZeroBlock(bytes, at: position)
        var end = position
        while end < bytes.count, BlockTrim.isZeroBlock(bytes, at: end) == isZero,
          isZero || end - position < shipper.maxChunk
        {
          end = min(end + Int(blockSize), bytes.count)
        }
        let extent = Extent(offset: run.offset + UInt64(position), length: UInt64(end - position))
        if isZero, shipper.zerosTravel {
          try link.sendZeros(extent)
        } else if isZero {
          noteEqual(from: extent.offset, to: extent.end)
        } else {
          shipper.pace(extent.length)
          try link.sendChunk(UnsafeRawBufferPointer(rebasing: bytes[position..<end]), at: extent.offset)
        }
        // Against an empty file zeros are no change.
        shipper.progress.add(changed: isZero && !shipper.zerosTravel ? 0 : extent.length)
        position = end
      }
    }
  }

  private var zerosTravel: Bool {
    if case .empty = mode { false } else { true }
  }

  /// Adds a segment's difference to the total and its sum to those of the snapshot.
  private func add(_ delta: BlockSum, _ item: WorkItem, _ equal: [Extent]) throws(ReplError) {
    guard let sums else { return }
    let sum = try total.take { (total) throws(ReplError) in
      let before = try baseSum(of: item.segment, &total)
      let sum = item.sum ?? before + delta
      total.delta += sum - before
      return sum
    }
    if item.sum == nil { try sums.set(segment: item.segment, sum, equal: equal) }
  }

  private func baseSum(of segment: UInt64, _ total: inout Total) throws(ReplError) -> BlockSum {
    guard case .base(_, _, let entries, let witness) = mode, segment < entries.segmentCount,
      // Taken out while it turns a page, so that the page is not copied.
      var editor = total.baseEntries.take()
    else { return .zero }
    defer { total.baseEntries = editor }
    return try witness.watch { () throws(ReplError) in try editor.sum(ofSegment: segment) }
  }
}
