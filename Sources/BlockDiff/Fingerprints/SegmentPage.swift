import ReplModel

/// 128 neighbouring entries of a ``SegmentTable``, 4096 bytes: what is read and written at once.
public struct SegmentPage: Sendable {
  /// Bytes of one entry.
  public static let entrySize = 32
  /// Entries in a page.
  public static let entryCount = Int(blockSize) / entrySize

  /// Segment of the first entry, a multiple of ``entryCount``.
  public let firstSegment: UInt64
  private(set) var bytes: [UInt8]

  init(firstSegment: UInt64, bytes: [UInt8]) {
    precondition(bytes.count == Int(blockSize))
    self.firstSegment = firstSegment
    self.bytes = bytes
  }

  /// Whether a segment's entry is one of this page.
  func holds(_ segment: UInt64) -> Bool {
    segment >= firstSegment && segment - firstSegment < UInt64(Self.entryCount)
  }

  /// The sum of a segment of this page; nil if the entry is damaged.
  public func sum(ofSegment segment: UInt64) -> BlockSum? {
    let start = offset(of: segment)
    let entry = bytes[start..<start + Self.entrySize]
    if entry.allSatisfy({ $0 == 0 }) { return .zero }
    var reader = ByteReader(entry)
    guard
      let fingerprint = try? reader.readFingerprint(), let count = try? reader.read(UInt64.self),
      let stored = try? reader.read(UInt64.self)
    else { return nil }
    let sum = BlockSum(fingerprint: fingerprint, nonZeroBlocks: count)
    return stored == Self.check(segment, sum) ? sum : nil
  }

  /// Whether the entry is anything but zeros; cheaper than reading it.
  public func isUsed(segment: UInt64) -> Bool {
    let start = offset(of: segment)
    return bytes[start..<start + Self.entrySize].contains { $0 != 0 }
  }

  /// Replaces an entry; returns whether that changed the page.
  mutating func set(segment: UInt64, _ sum: BlockSum) -> Bool {
    let start = offset(of: segment)
    let entry = Self.encode(segment, sum)
    guard !bytes[start..<start + Self.entrySize].elementsEqual(entry) else { return false }
    bytes.replaceSubrange(start..<start + Self.entrySize, with: entry)
    return true
  }

  private func offset(of segment: UInt64) -> Int { Int(segment - firstSegment) * Self.entrySize }

  /// A sum of nothing is 32 zeros, so that untouched parts of the table are holes.
  private static func encode(_ segment: UInt64, _ sum: BlockSum) -> [UInt8] {
    guard sum != .zero else { return [UInt8](repeating: 0, count: entrySize) }
    var writer = ByteWriter()
    writer.write(sum.fingerprint)
    writer.write(sum.nonZeroBlocks)
    writer.write(check(segment, sum))
    return writer.bytes
  }

  /// Binds the entry to its place, so that one that lies elsewhere is seen.
  private static func check(_ segment: UInt64, _ sum: BlockSum) -> UInt64 {
    let words = [segment, sum.fingerprint.low, sum.fingerprint.high, sum.nonZeroBlocks].map(\.littleEndian)
    return words.withUnsafeBytes { checksum(of: $0) }
  }
}
