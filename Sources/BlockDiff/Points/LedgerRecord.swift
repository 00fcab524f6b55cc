import ReplModel

/// One record of a ledger: sorted extents that became durable together. docs/on-disk-format.md draws it.
enum LedgerRecord {
  /// Bytes before the extents: magic, count, sequence.
  static let headerSize: UInt64 = 16
  static let extentSize: UInt64 = 16
  static let checksumSize: UInt64 = 8
  /// More extents than this are split into several records.
  static let maximumCount = 4096
  private static let magic = Array("LREC".utf8)

  static func size(count: Int) -> UInt64 { headerSize + UInt64(count) * extentSize + checksumSize }

  static func encode(_ extents: some Collection<Extent>, sequence: UInt64) -> [UInt8] {
    var writer = ByteWriter()
    writer.writeRaw(magic)
    writer.write(UInt32(extents.count))
    writer.write(sequence)
    for extent in extents {
      writer.write(extent.offset)
      writer.write(extent.length)
    }
    writer.write(checksum(of: writer.bytes))
    return writer.bytes
  }

  /// Count of extents that the 16 bytes announce; nil unless they begin the record numbered `sequence`.
  static func count(_ header: ArraySlice<UInt8>, sequence: UInt64?) -> Int? {
    var reader = ByteReader(header)
    guard
      let found = try? reader.readRaw(4), found.elementsEqual(magic), let count = try? reader.read(UInt32.self),
      let number = try? reader.read(UInt64.self), count > 0, count <= maximumCount
    else { return nil }
    if let sequence, sequence != number { return nil }
    return Int(count)
  }

  /// The extents of a whole record; nil unless checksum, order, alignment and range are right.
  static func decode(_ bytes: [UInt8], count: Int, size: UInt64) -> [Extent]? {
    let body = bytes.dropLast(Int(checksumSize))
    var tail = ByteReader(bytes.suffix(Int(checksumSize)))
    guard let stored = try? tail.read(UInt64.self), stored == checksum(of: Array(body)) else { return nil }
    var extents: [Extent] = []
    extents.reserveCapacity(count)
    var end: UInt64 = 0
    for index in 0..<count {
      guard let extent = extent(body, at: Int(headerSize) + index * Int(extentSize)) else { return nil }
      guard extent.offset >= end, extent.length > 0, extent.isWholeBlocks(ofVolume: size) else { return nil }
      end = extent.end
      extents.append(extent)
    }
    return extents
  }

  static func extent(_ bytes: ArraySlice<UInt8>, at offset: Int) -> Extent? {
    var reader = ByteReader(bytes[(bytes.startIndex + offset)...])
    guard let start = try? reader.read(UInt64.self), let length = try? reader.read(UInt64.self) else { return nil }
    return Extent(offset: start, length: length)
  }
}

/// Consecutive records whose extents ascend from the first to the last: read as one sorted list.
struct LedgerRun: Sendable {
  /// Byte range of the records in the ledger file.
  var start: UInt64
  var end: UInt64
  /// Where its first extent begins and its last one ends, in the volume.
  var firstOffset: UInt64
  var lastEnd: UInt64
}
