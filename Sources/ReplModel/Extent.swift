/// The grain of fingerprints and of trimming, in bytes.
public let blockSize: UInt64 = 4096
/// The grain of the fingerprint table, in bytes. A chunk never crosses a segment boundary.
public let segmentSize: UInt64 = 1 << 20

/// A byte range of a volume, half open. Never empty inside an ``ExtentSet``.
public struct Extent: Hashable, Sendable, CustomStringConvertible {
  /// First byte.
  public var offset: UInt64
  /// Count of bytes.
  public var length: UInt64

  public init(offset: UInt64, length: UInt64) {
    self.offset = offset
    self.length = length
  }

  /// The range `start..<end`; empty where `end` does not lie behind `start`.
  public init(from start: UInt64, to end: UInt64) {
    self.init(offset: start, length: end > start ? end - start : 0)
  }

  /// One past the last byte; the largest number for a range that would end beyond it.
  public var end: UInt64 {
    let (end, overflow) = offset.addingReportingOverflow(length)
    return overflow ? .max : end
  }
  public var isEmpty: Bool { length == 0 }

  /// Whether it begins at a block boundary, and ends at one or with a volume of `size` bytes, within which it lies.
  public func isWholeBlocks(ofVolume size: UInt64) -> Bool {
    offset % blockSize == 0 && length <= size && offset <= size - length && (length % blockSize == 0 || end == size)
  }

  /// The part both ranges have, or nil.
  public func intersection(_ other: Extent) -> Extent? {
    let start = max(offset, other.offset)
    let stop = min(end, other.end)
    return start < stop ? Extent(from: start, to: stop) : nil
  }

  /// Edges rounded outward to whole blocks, then cut at `size` bytes.
  public func roundedToBlocks(volumeSize size: UInt64) -> Extent {
    let start = offset / blockSize * blockSize
    let stop = end > UInt64.max - blockSize ? size : (end + blockSize - 1) / blockSize * blockSize
    return Extent(from: min(start, size), to: min(stop, size))
  }

  public var description: String { "\(offset)+\(length)" }
}

/// Sorted, disjoint, coalesced extents. For bounded sets: what may grow with a volume is streamed instead.
public struct ExtentSet: Hashable, Sendable {
  /// Ascending by offset; neighbours never touch.
  public private(set) var extents: [Extent] = []

  public init() {}

  public init(_ extents: some Sequence<Extent>) {
    for extent in extents.sorted(by: { $0.offset < $1.offset }) { appendSorted(extent) }
  }

  public var isEmpty: Bool { extents.isEmpty }
  /// Sum of all lengths, in bytes.
  public var byteCount: UInt64 { extents.reduce(0) { $0.addingReportingOverflow($1.length).partialValue } }

  /// Adds a range anywhere; ranges that touch become one.
  public mutating func insert(_ extent: Extent) {
    guard !extent.isEmpty else { return }
    let first = lowerBound(touching: extent.offset)
    var last = first
    var merged = extent
    while last < extents.count, extents[last].offset <= extent.end {
      let stop = max(merged.end, extents[last].end)
      merged = Extent(from: min(merged.offset, extents[last].offset), to: stop)
      last += 1
    }
    extents.replaceSubrange(first..<last, with: CollectionOfOne(merged))
  }

  /// Takes a range out; what it covers in part is cut.
  public mutating func remove(_ extent: Extent) {
    guard !extent.isEmpty else { return }
    let first = lowerBound(touching: extent.offset)
    var last = first
    var rest: [Extent] = []
    while last < extents.count, extents[last].offset < extent.end {
      let old = extents[last]
      if old.offset < extent.offset { rest.append(Extent(from: old.offset, to: min(old.end, extent.offset))) }
      if old.end > extent.end { rest.append(Extent(from: max(old.offset, extent.end), to: old.end)) }
      last += 1
    }
    extents.replaceSubrange(first..<last, with: rest)
  }

  public func union(_ other: ExtentSet) -> ExtentSet {
    var result = ExtentSet()
    var left = extents[...]
    var right = other.extents[...]
    while let next = [left.first, right.first].compactMap({ $0 }).min(by: { $0.offset < $1.offset }) {
      if left.first == next { left.removeFirst() } else { right.removeFirst() }
      result.appendSorted(next)
    }
    return result
  }

  public func subtracting(_ other: ExtentSet) -> ExtentSet {
    var result = ExtentSet()
    var position = 0
    for extent in extents {
      var start = extent.offset
      while position < other.extents.count, other.extents[position].end <= start { position += 1 }
      var index = position
      while index < other.extents.count, other.extents[index].offset < extent.end {
        let hole = other.extents[index]
        if hole.offset > start { result.appendSorted(Extent(from: start, to: hole.offset)) }
        start = max(start, hole.end)
        index += 1
      }
      if start < extent.end { result.appendSorted(Extent(from: start, to: extent.end)) }
    }
    return result
  }

  public func intersection(_ other: ExtentSet) -> ExtentSet {
    var result = ExtentSet()
    var (left, right) = (0, 0)
    while left < extents.count, right < other.extents.count {
      if let common = extents[left].intersection(other.extents[right]) { result.appendSorted(common) }
      if extents[left].end < other.extents[right].end { left += 1 } else { right += 1 }
    }
    return result
  }

  /// Whether every byte of `extent` is in the set.
  public func contains(_ extent: Extent) -> Bool {
    let index = lowerBound(touching: extent.offset)
    return extents[index...].prefix(2).contains { $0.offset <= extent.offset && extent.end <= $0.end }
  }

  /// Adds a range that starts at or after the start of every range in the set.
  public mutating func appendSorted(_ extent: Extent) {
    guard !extent.isEmpty else { return }
    guard let last = extents.last, extent.offset <= last.end else { return extents.append(extent) }
    extents[extents.count - 1] = Extent(from: last.offset, to: max(last.end, extent.end))
  }

  /// Index of the first extent whose end is at or after `offset`.
  private func lowerBound(touching offset: UInt64) -> Int {
    var (low, high) = (0, extents.count)
    while low < high {
      let middle = (low + high) / 2
      if extents[middle].end < offset { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
