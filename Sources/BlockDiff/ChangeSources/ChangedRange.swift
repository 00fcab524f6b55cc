public import ReplModel

/// What a changed range holds in the new image.
public enum ChangeKind: UInt8, Hashable, Sendable, Comparable {
  /// Zeros: need not be read.
  case zero = 0
  /// Data that lies elsewhere than in the base.
  case data = 1
  /// The maps do not tell: compare contents.
  case unknown = 2

  public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// A range in which base and new image may differ. Whole blocks, except at the end of the volume.
public struct ChangedRange: Hashable, Sendable {
  public var extent: Extent
  public var kind: ChangeKind
  public init(extent: Extent, kind: ChangeKind) {
    self.extent = extent
    self.kind = kind
  }
}

/// Turns compared pieces of any alignment into changed ranges of whole blocks, coalesced. Pieces come in ascending
/// order without gaps. A block of which any part changed is changed; it is zero only if all of it is.
struct ChangedRangeBuilder {
  typealias Emit = (ChangedRange) throws(ReplError) -> Void

  private let volumeSize: UInt64
  /// The block that pieces so far cover in part: its start, whether it changed, the highest kind in it.
  private var block: (start: UInt64, changed: Bool, kind: ChangeKind)?
  /// Not yet handed out, because the next piece may join it.
  private var pending: ChangedRange?

  init(volumeSize: UInt64) { self.volumeSize = volumeSize }

  /// Adds a piece; `kind` is what the new image holds there, also where nothing changed.
  mutating func add(_ piece: Extent, changed: Bool, kind: ChangeKind, _ emit: Emit) throws(ReplError) {
    var start = piece.offset
    while start < piece.end {
      let blockStart = start / blockSize * blockSize
      let blockEnd = min(blockStart + blockSize, volumeSize)
      let isWholeBlocks = start == blockStart && (piece.end >= blockEnd)
      if block == nil, isWholeBlocks {
        let end = piece.end == volumeSize ? volumeSize : piece.end / blockSize * blockSize
        if changed { try append(ChangedRange(extent: Extent(from: start, to: end), kind: kind), emit) }
        start = end
        continue
      }
      let end = min(piece.end, blockEnd)
      let before = block ?? (start: blockStart, changed: false, kind: .zero)
      block = (blockStart, before.changed || changed, max(before.kind, kind))
      if end == blockEnd { try closeBlock(end: blockEnd, emit) }
      start = end
    }
  }

  /// Hands out what is left.
  mutating func finish(_ emit: Emit) throws(ReplError) {
    if block != nil { try closeBlock(end: volumeSize, emit) }
    if let last = pending { try emit(last) }
    pending = nil
  }

  private mutating func closeBlock(end: UInt64, _ emit: Emit) throws(ReplError) {
    guard let done = block else { return }
    block = nil
    if done.changed { try append(ChangedRange(extent: Extent(from: done.start, to: end), kind: done.kind), emit) }
  }

  private mutating func append(_ range: ChangedRange, _ emit: Emit) throws(ReplError) {
    if let last = pending {
      if last.kind == range.kind, last.extent.end == range.extent.offset {
        pending = ChangedRange(extent: Extent(from: last.extent.offset, to: range.extent.end), kind: range.kind)
        return
      }
      try emit(last)
    }
    pending = range
  }
}
