public import ReplModel

/// Reads one page of a file's extent map: the extents that end after `offset`, ascending, at most `limit`; empty when
/// nothing is mapped from there on. ``StorageFile/extentMap(from:limit:sync:)`` is one.
public typealias ExtentMapReader =
  (_ offset: UInt64, _ limit: Int, _ sync: Bool) throws(ReplError) -> [MappedExtent]

/// One page of an extent map, walked from front to back. Where nothing is mapped there is a hole.
struct ExtentMapWindow: Equatable {
  /// Mapped extents from `start` on.
  private(set) var extents: [MappedExtent]
  /// Where the page stops telling; `limit` given to ``init(_:from:limit:sync:size:subject:)`` at most.
  let end: UInt64
  private var position = 0

  /// Reads a page and checks that the kernel gave it in order. Beyond `size` there is nothing.
  init(
    _ reader: ExtentMapReader, from start: UInt64, limit: Int, sync: Bool, size: UInt64, subject: String
  ) throws(ReplError) {
    extents = start < size ? try reader(start, limit, sync) : []
    var told = start
    for extent in extents {
      let (stop, overflow) = extent.logical.offset.addingReportingOverflow(extent.logical.length)
      // The first extent may begin before the place asked for; nothing else may lie before what was told already.
      let isFirst = told == start
      guard !overflow, stop > told, isFirst || extent.logical.offset >= told else {
        throw ReplError(
          .io, subject: subject, cause: "the file system gave an extent map out of order near offset \(told)",
          remedy: "check the file system and the kernel log")
      }
      told = stop
    }
    // An empty page tells all the rest. A page that is not full is not taken for the last one.
    end = extents.isEmpty ? UInt64.max : told
  }

  /// What lies at `offset`, and up to where; offsets must not go down.
  mutating func content(at offset: UInt64, size: UInt64) -> (kind: ExtentClass, end: UInt64) {
    guard offset < size else { return (.zero, UInt64.max) }
    while position < extents.count, extents[position].logical.end <= offset { position += 1 }
    guard position < extents.count else { return (.zero, size) }
    let extent = extents[position]
    guard extent.logical.offset <= offset else { return (.zero, min(extent.logical.offset, size)) }
    return (ExtentClass(extent, at: offset), min(extent.logical.end, size))
  }

  /// Whether both tell the same of every byte before `limit`, flags that do not count left out.
  func agrees(with other: ExtentMapWindow, from start: UInt64, to limit: UInt64, size: UInt64) -> Bool {
    var (left, right) = (self, other)
    var offset = start
    while offset < min(limit, size) {
      let (leftKind, leftEnd) = left.content(at: offset, size: size)
      let (rightKind, rightEnd) = right.content(at: offset, size: size)
      guard leftKind == rightKind else { return false }
      offset = min(leftEnd, rightEnd)
    }
    return true
  }
}
