import CStorageShims
import ReplModel

/// The file of a plan, version 1, little endian.
///
/// Header, 4096 bytes: magic `RPLPLAN1`, volume size, count of records, data bytes, zero bytes (u64 each), plan digest
/// (low, high), then XXH3-128 of those 56 bytes; zeros. Then pages of 65,536 bytes (the last one shorter): chain value
/// (low, high), then up to 2,730 records of 24 bytes: offset u64, length u64, kind u8, seven zeros.
///
/// chain(0) = XXH3-128 of magic and volume size; chain(n) = XXH3-128 of chain(n−1) and the records of page n. The last
/// chain value is the plan digest. So every page is proven before any of its records is used.
enum PlanFormat {
  static let magic = Array("RPLPLAN1".utf8)
  static let headerSize = 4096
  static let checkedHeaderSize = 56
  static let recordSize = 24
  static let chainSize = 16
  static let recordsPerPage = 2730
  static let pageSize = 1 << 16

  static func firstChain(volumeSize: UInt64) -> Fingerprint {
    var writer = ByteWriter()
    writer.writeRaw(magic)
    writer.write(volumeSize)
    return hash(writer.bytes)
  }

  /// `page` begins with room for the chain value, into which the one before is put for hashing.
  static func nextChain(_ previous: Fingerprint, page: UnsafeMutableRawBufferPointer) -> Fingerprint {
    store(previous, into: page)
    return hash(UnsafeRawBufferPointer(page))
  }

  static func store(_ chain: Fingerprint, into page: UnsafeMutableRawBufferPointer) {
    page.storeBytes(of: chain.low.littleEndian, as: UInt64.self)
    page.storeBytes(of: chain.high.littleEndian, toByteOffset: 8, as: UInt64.self)
  }

  static func loadChain(_ page: UnsafeMutableRawBufferPointer) -> Fingerprint {
    Fingerprint(
      low: UInt64(littleEndian: page.load(as: UInt64.self)),
      high: UInt64(littleEndian: page.load(fromByteOffset: 8, as: UInt64.self)))
  }

  static func store(_ record: PlannedExtent, into page: UnsafeMutableRawBufferPointer, index: Int) {
    let at = chainSize + index * recordSize
    page.storeBytes(of: record.extent.offset.littleEndian, toByteOffset: at, as: UInt64.self)
    page.storeBytes(of: record.extent.length.littleEndian, toByteOffset: at + 8, as: UInt64.self)
    page.storeBytes(of: UInt64(record.kind.rawValue).littleEndian, toByteOffset: at + 16, as: UInt64.self)
  }

  /// Nil for a kind that does not exist.
  static func load(_ page: UnsafeMutableRawBufferPointer, index: Int) -> PlannedExtent? {
    let at = chainSize + index * recordSize
    let offset = UInt64(littleEndian: page.load(fromByteOffset: at, as: UInt64.self))
    let length = UInt64(littleEndian: page.load(fromByteOffset: at + 8, as: UInt64.self))
    let rawKind = UInt64(littleEndian: page.load(fromByteOffset: at + 16, as: UInt64.self))
    guard let kind = UInt8(exactly: rawKind).flatMap(PlanKind.init(rawValue:)) else { return nil }
    return PlannedExtent(extent: Extent(offset: offset, length: length), kind: kind)
  }

  static func header(_ summary: PlanSummary) -> [UInt8] {
    var writer = ByteWriter()
    writer.writeRaw(magic)
    writer.write(summary.volumeSize)
    writer.write(summary.records)
    writer.write(summary.dataBytes)
    writer.write(summary.zeroBytes)
    writer.write(summary.digest)
    writer.write(hash(writer.bytes))
    writer.writeRaw([UInt8](repeating: 0, count: headerSize - writer.bytes.count))
    return writer.bytes
  }

  static func parseHeader(_ bytes: [UInt8]) throws(DecodingFailure) -> PlanSummary {
    var reader = ByteReader(bytes)
    guard try Array(reader.readRaw(magic.count, "magic")) == magic else { throw reader.failure("the magic RPLPLAN1") }
    let size: UInt64 = try reader.read()
    guard size <= UInt64(Int64.max) else { throw reader.failure("the size of a volume") }
    let records: UInt64 = try reader.read()
    let dataBytes: UInt64 = try reader.read()
    let zeroBytes: UInt64 = try reader.read()
    let digest = try reader.readFingerprint()
    guard try reader.readFingerprint() == hash(Array(bytes.prefix(checkedHeaderSize))) else {
      throw reader.failure("a matching checksum of the header")
    }
    return PlanSummary(
      digest: digest, volumeSize: size, records: records, dataBytes: dataBytes, zeroBytes: zeroBytes)
  }

  static func hash(_ bytes: [UInt8]) -> Fingerprint { bytes.withUnsafeBytes { hash($0) } }

  static func hash(_ bytes: UnsafeRawBufferPointer) -> Fingerprint {
    guard let start = bytes.baseAddress else { return .zero }
    let value = css_xxh3_128(start, bytes.count)
    return Fingerprint(low: value.low, high: value.high)
  }
}
