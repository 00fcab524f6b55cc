public import ReplModel

/// What a comparison came to.
public struct ComparisonTotals: Hashable, Sendable {
  /// Bytes by kind, as handed out.
  public var dataBytes: UInt64 = 0
  public var zeroBytes: UInt64 = 0
  public var unknownBytes: UInt64 = 0
  /// Ranges handed out.
  public var ranges: UInt64 = 0
  /// Pages during whose reading the base's map moved (balance, defragmentation): their contents must be compared.
  public var movedPages: UInt64 = 0

  public init() {}

  mutating func add(_ range: ChangedRange) {
    ranges += 1
    switch range.kind {
    case .zero: zeroBytes += range.extent.length
    case .data: dataBytes += range.extent.length
    case .unknown: unknownBytes += range.extent.length
    }
  }
}

/// Finds where a new image may differ from its base by comparing the extent maps of two pinned clones (design
/// section 5). Equal is what has the same logical and physical address and the same flags that count; both zero is
/// equal; everything else is changed.
///
/// Works page by page in bounded memory. Of every page the base is read first and again last: an address in the new
/// map can stand for other contents only if the base's block moved away from it in between, and then the second
/// reading tells.
public struct ExtentMapComparison {
  /// Extents in a page.
  public static let pageLimit = 1024
  /// Readings of a page whose base keeps moving.
  private static let attempts = 3

  private let base: ExtentMapReader
  private let baseSize: UInt64
  private let new: ExtentMapReader
  private let newSize: UInt64
  private let pageLimit: Int
  private let subject: String

  /// Bytes of the base beyond `baseSize` count as zeros. `subject` names the new image in errors.
  public init(
    base: @escaping ExtentMapReader, baseSize: UInt64, new: @escaping ExtentMapReader, newSize: UInt64,
    pageLimit: Int = ExtentMapComparison.pageLimit, subject: String
  ) {
    self.base = base
    self.baseSize = baseSize
    self.new = new
    self.newSize = newSize
    self.pageLimit = max(1, pageLimit)
    self.subject = subject
  }

  /// Hands out the changed ranges, ascending, disjoint, in whole blocks cut at the new size.
  public func run(_ emit: (ChangedRange) throws(ReplError) -> Void) throws(ReplError) -> ComparisonTotals {
    var totals = ComparisonTotals()
    var builder = ChangedRangeBuilder(volumeSize: newSize)
    let count = { (range: ChangedRange) throws(ReplError) in
      totals.add(range)
      try emit(range)
    }
    var moved: UInt64 = 0
    var start: UInt64 = 0
    while start < newSize {
      var page = try readPage(from: start)
      if page.hasMoved { moved += 1 }
      try compare(&page, from: start, &builder, count)
      start = page.end
    }
    try builder.finish(count)
    totals.movedPages = moved
    return totals
  }

  private struct Page {
    var base: ExtentMapWindow
    var new: ExtentMapWindow
    /// Up to where both tell.
    var end: UInt64
    var hasMoved: Bool
  }

  private func readPage(from start: UInt64) throws(ReplError) -> Page {
    var page = try readPageOnce(from: start)
    for _ in 1..<Self.attempts where page.hasMoved { page = try readPageOnce(from: start) }
    return page
  }

  private func readPageOnce(from start: UInt64) throws(ReplError) -> Page {
    let first = try window(base, from: start, baseSize)
    let changed = try window(new, from: start, newSize)
    let again = try window(base, from: start, baseSize)
    let end = min(first.end, changed.end, again.end, newSize)
    let agrees = first.agrees(with: again, from: start, to: end, size: baseSize)
    return Page(base: again, new: changed, end: end, hasMoved: !agrees)
  }

  private func window(
    _ reader: ExtentMapReader, from start: UInt64, _ size: UInt64
  ) throws(ReplError) -> ExtentMapWindow {
    // Pinned clones are never written, so only the first reading can find anything to bring to disk.
    try ExtentMapWindow(reader, from: start, limit: pageLimit, sync: start == 0, size: size, subject: subject)
  }

  private func compare(
    _ page: inout Page, from start: UInt64, _ builder: inout ChangedRangeBuilder, _ emit: ChangedRangeBuilder.Emit
  ) throws(ReplError) {
    var offset = start
    while offset < page.end {
      let (old, oldEnd) = page.base.content(at: offset, size: baseSize)
      let (now, nowEnd) = page.new.content(at: offset, size: newSize)
      let end = min(oldEnd, nowEnd, page.end)
      let piece = Extent(from: offset, to: end)
      try builder.add(
        piece, changed: !Self.isEqual(old, now, page.hasMoved), kind: Self.kind(old, now, page.hasMoved), emit)
      offset = end
    }
  }

  private static func isEqual(_ old: ExtentClass, _ new: ExtentClass, _ hasMoved: Bool) -> Bool {
    switch (old, new) {
    case (.zero, .zero): true
    case (.data, .data): old == new && !hasMoved
    default: false
    }
  }

  private static func kind(_ old: ExtentClass, _ new: ExtentClass, _ hasMoved: Bool) -> ChangeKind {
    switch (old, new) {
    case (_, .zero): .zero
    case (_, .unknown): .unknown
    // An address read while the base moved stands for nothing.
    case (.data, .data) where hasMoved: .unknown
    case (.unknown, .data): .unknown
    case (_, .data): .data
    }
  }
}
