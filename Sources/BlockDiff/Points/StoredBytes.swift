public import ReplModel

extension PointStore {
  /// Bytes of the pool that everything held of a volume takes, but for a live file that was made of it: points, ready
  /// clone, staging and repairs.
  ///
  /// Blocks that an image shares with the one before it, by generation, count once. Sharing beyond that is not looked
  /// for: the result may be too large and is never too small. Takes time in proportion to the extents of all images, and
  /// bounded memory.
  public func storedBytes(of source: SourceVolume) throws(ReplError) -> UInt64 {
    let directories = try imageDirectories(of: source)
    var total = try allocatedBytes(directories.map(\.image))
    // Segment tables are cloned, too.
    total = total.addingSaturating(try allocatedBytes(directories.map(\.segments)))
    for paths in directories {
      for path in [paths.seal, paths.ledger, paths.header] {
        total = total.addingSaturating(try allocatedBytes([path]))
      }
    }
    return total
  }

  /// Bytes allocated to files of which each may share blocks with the one before it. What is not there has none: it may
  /// go while it is counted.
  private func allocatedBytes(_ paths: [String]) throws(ReplError) -> UInt64 {
    var total: UInt64 = 0
    var before: (any StorageFile)?
    defer { try? before?.close() }
    for path in paths {
      let file: any StorageFile
      do throws(ReplError) { file = try storage.open(path, .read) } catch  where error.kind == .notFound { continue }
      defer {
        try? before?.close()
        before = file
      }
      total = total.addingSaturating(try ImageSharing.bytes(of: file, notIn: before))
    }
    return total
  }

  /// What may have an image of a volume, in the order in which each was made from the one before.
  private func imageDirectories(of source: SourceVolume) throws(ReplError) -> [PointPaths] {
    let points = try points(of: source)
    let repairs = try storage.listIfPresent(layout.repair).filter { $0.hasPrefix(source.directoryName + "~") }
    return points.damaged.map(\.paths) + repairs.map { PointPaths(directory: layout.repair + "/" + $0) }
      + points.sealed.map(\.paths) + [layout.ready(source), layout.staging(source)]
  }
}

/// Which blocks two files share, by their extent maps.
enum ImageSharing {
  /// UNKNOWN, DELALLOC, NOT_ALIGNED, INLINE, TAIL: the address says nothing.
  private static let addressless: UInt32 = 0x0002 | 0x0004 | 0x0100 | 0x0200 | 0x0400
  /// ENCODED: all pieces of a compressed extent have its address.
  private static let encoded: UInt32 = 0x0008

  /// Bytes allocated to a file, without those that lie at the same place of another one.
  static func bytes(of file: any StorageFile, notIn other: (any StorageFile)?) throws(ReplError) -> UInt64 {
    var extents = MappedExtentCursor(file)
    var others = other.map { MappedExtentCursor($0) }
    var total: UInt64 = 0
    while let extent = try extents.next() {
      total = total.addingSaturating(extent.logical.length)
      while let beside = try others?.peek(endingAfter: extent.logical.offset),
        beside.logical.offset < extent.logical.end
      {
        let shared = min(extent.logical.end, beside.logical.end) - max(extent.logical.offset, beside.logical.offset)
        if isSame(extent, beside) { total -= min(total, shared) }
        guard beside.logical.end <= extent.logical.end else { break }
        others?.skip()
      }
    }
    return total
  }

  /// Whether both say the same address for what they have in common.
  private static func isSame(_ left: MappedExtent, _ right: MappedExtent) -> Bool {
    guard (left.flags | right.flags) & addressless == 0, left.flags & encoded == right.flags & encoded else {
      return false
    }
    if left.flags & encoded != 0 { return left.physical == right.physical }
    return left.physical &- left.logical.offset == right.physical &- right.logical.offset
  }
}

/// Walks the extent map of a file page by page.
struct MappedExtentCursor {
  private static let pageLimit = 1024

  private let file: any StorageFile
  private var page: [MappedExtent] = []
  private var position = 0
  /// Where the next page begins.
  private var end: UInt64 = 0

  init(_ file: any StorageFile) { self.file = file }

  mutating func next() throws(ReplError) -> MappedExtent? {
    defer { position += 1 }
    return try current()
  }

  /// The first extent from the present one on that ends after `offset`; those before it are over.
  mutating func peek(endingAfter offset: UInt64) throws(ReplError) -> MappedExtent? {
    while let extent = try current() {
      if extent.logical.end > offset { return extent }
      position += 1
    }
    return nil
  }

  mutating func skip() { position += 1 }

  private mutating func current() throws(ReplError) -> MappedExtent? {
    if position < page.count { return page[position] }
    // A page may begin before the place asked for, where an extent reaches beyond it.
    page = try file.extentMap(from: end, limit: Self.pageLimit, sync: false).filter { $0.logical.end > end }
    position = 0
    end = page.last?.logical.end ?? end
    return page.first
  }
}
