public import ReplModel

/// Segments of a volume, as ascending runs. Bounded: what would be more than ``runLimit`` runs becomes the one run from the
/// first segment to the last, which says too much and never too little.
public struct SegmentSet: Hashable, Sendable {
  /// Most runs that are kept apart.
  public static let runLimit = 4096
  /// No volume has a segment at or beyond this one.
  static let segmentLimit: UInt64 = 1 << 44

  /// In units of segments, not bytes.
  private var covered: ExtentSet

  public init() { covered = ExtentSet() }

  public init(_ segments: some Sequence<UInt64>) {
    self.init(runs: segments.map { Extent(offset: $0, length: 1) })
  }

  /// The segments that byte ranges touch.
  public init(touching extents: ExtentSet) {
    self.init(
      runs: extents.extents.map { Extent(from: $0.offset / segmentSize, to: segmentCount(ofVolume: $0.end)) })
  }

  /// All segments of a volume of that many bytes.
  public init(allOf size: UInt64) {
    self.init(runs: [Extent(offset: 0, length: segmentCount(ofVolume: size))])
  }

  /// All segments of a volume of that many bytes that do not come before `first`.
  public init(from first: UInt64, toEndOf size: UInt64) {
    let count = segmentCount(ofVolume: size)
    self.init(runs: first < count ? [Extent(from: first, to: count)] : [])
  }

  private init(runs: [Extent]) {
    covered = ExtentSet()
    for run in runs { covered.insert(run) }
    coarsen()
  }

  public var isEmpty: Bool { covered.isEmpty }
  /// How many segments.
  public var count: UInt64 { covered.extents.reduce(0) { $0 + $1.length } }
  /// Ascending and apart from each other; `offset` and `length` are segments.
  public var runs: [Extent] { covered.extents }

  public func contains(_ segment: UInt64) -> Bool { covered.contains(Extent(offset: segment, length: 1)) }
  public func isSubset(of other: SegmentSet) -> Bool { covered.extents.allSatisfy { other.covered.contains($0) } }

  public mutating func insert(_ segment: UInt64) {
    covered.insert(Extent(offset: segment, length: 1))
    coarsen()
  }

  public func union(_ other: SegmentSet) -> SegmentSet {
    var result = self
    result.covered = covered.union(other.covered)
    result.coarsen()
    return result
  }

  public func subtracting(_ other: SegmentSet) -> SegmentSet {
    var result = self
    result.covered = covered.subtracting(other.covered)
    result.coarsen()
    return result
  }

  /// Those that a volume of that many bytes has.
  public func clamped(toVolume size: UInt64) -> SegmentSet {
    var result = self
    result.covered = covered.intersection(ExtentSet([Extent(offset: 0, length: segmentCount(ofVolume: size))]))
    return result
  }

  /// The first `limit` of them.
  public func prefix(_ limit: UInt64) -> SegmentSet {
    var (result, left) = (SegmentSet(), limit)
    for run in runs where left > 0 {
      result.covered.appendSorted(Extent(offset: run.offset, length: min(run.length, left)))
      left -= min(run.length, left)
    }
    return result
  }

  /// The first `limit` of them, one by one.
  public func numbers(limit: Int) -> [UInt64] {
    prefix(UInt64(limit)).runs.flatMap { Array($0.offset..<$0.end) }
  }

  private mutating func coarsen() {
    guard runs.count > Self.runLimit, let first = runs.first, let last = runs.last else { return }
    covered = ExtentSet([Extent(from: first.offset, to: last.end)])
  }
}

extension SegmentSet {
  /// Pairs of little-endian 64-bit words: first segment and count of each run.
  public var encoded: [UInt8] {
    var writer = ByteWriter()
    for run in runs {
      writer.write(run.offset)
      writer.write(run.length)
    }
    return writer.bytes
  }

  /// Nil for anything that ``encoded`` does not make.
  public init?(encoded bytes: [UInt8]) {
    guard bytes.count % 16 == 0, bytes.count / 16 <= Self.runLimit else { return nil }
    var reader = ByteReader(bytes)
    var (runs, end): ([Extent], UInt64) = ([], 0)
    while reader.remaining > 0 {
      guard let first = try? reader.read(UInt64.self), let count = try? reader.read(UInt64.self) else { return nil }
      guard first >= end, first < Self.segmentLimit, count > 0, count <= Self.segmentLimit - first else { return nil }
      end = first + count
      runs.append(Extent(offset: first, length: count))
    }
    self.init(runs: runs)
  }
}
