public import ReplModel

/// The sums of all 1 MiB segments of a volume in a sparse file, for finding what differs without reading the volume.
///
/// Never loaded whole: read by the page, summed up over its allocated ranges. Reading is safe from any thread;
/// changing goes through one ``SegmentTableEditor``.
public final class SegmentTable: Sendable {
  static let envelope = Envelope(magic: "RPLSEGMT", version: 1, what: "segment table")
  /// Where entries begin: the header has a block of its own.
  static let headerSize = blockSize

  public var path: String { file.path }
  /// Size of the volume in bytes.
  public let volumeSize: UInt64
  /// ``FingerprintKey/id`` of the key of all sums.
  public let keyID: UInt64
  let file: any StorageFile

  /// Entries, one per segment.
  public var segmentCount: UInt64 { BlockDiff.segmentCount(ofVolume: volumeSize) }

  private init(file: any StorageFile, volumeSize: UInt64, keyID: UInt64) {
    self.file = file
    self.volumeSize = volumeSize
    self.keyID = keyID
  }

  /// Makes a table whose sums are all zero. Not durable before ``synchronize()`` and an fsync of the directory.
  public static func create(
    _ path: String, volumeSize: UInt64, keyID: UInt64, in storage: any Storage
  ) throws(ReplError) -> SegmentTable {
    let file = try storage.open(path, .createNew)
    let table = SegmentTable(file: file, volumeSize: volumeSize, keyID: keyID)
    try table.writeHeader()
    return table
  }

  /// Makes a table that shares the blocks of `base` for a volume that has `volumeSize` now. Not durable before
  /// ``synchronize()`` and an fsync of the directory.
  public static func clone(
    _ base: SegmentTable, to path: String, volumeSize: UInt64, in storage: any Storage
  ) throws(ReplError) -> SegmentTable {
    let file = try storage.clone(base.file, to: path)
    let table = SegmentTable(file: file, volumeSize: volumeSize, keyID: base.keyID)
    if volumeSize != base.volumeSize { try table.writeHeader() }
    return table
  }

  public static func open(
    _ path: String, _ mode: OpenMode = .read, in storage: any Storage
  ) throws(ReplError) -> SegmentTable {
    let file = try storage.open(path, mode)
    do throws(ReplError) {
      let header = try file.readArray(Int(headerSize), at: 0)
      let (size, keyID) = try envelope.decode(header, path: path) {
        (reader) throws(DecodingFailure) in
        (try reader.read(UInt64.self), try reader.read(UInt64.self))
      }
      guard size <= UInt64(Int64.max) else {
        throw ReplError(.damaged, subject: path, cause: "is of a volume of \(size) bytes, which there is none of")
      }
      let table = SegmentTable(file: file, volumeSize: size, keyID: keyID)
      guard try file.size() == table.fileSize else {
        throw ReplError(.damaged, subject: path, cause: "is not \(table.fileSize) bytes long")
      }
      return table
    } catch {
      try? file.close()
      throw error
    }
  }

  /// The sum of one segment.
  public func sum(ofSegment segment: UInt64) throws(ReplError) -> BlockSum {
    guard let sum = try page(containing: segment).sum(ofSegment: segment) else { throw damagedEntry(segment) }
    return sum
  }

  /// The page that holds a segment's entry; `damaged` for one that is not below ``segmentCount``.
  public func page(containing segment: UInt64) throws(ReplError) -> SegmentPage {
    guard segment < segmentCount else {
      throw ReplError(.damaged, subject: path, cause: "has no segment \(segment): its volume has \(volumeSize) bytes")
    }
    let first = segment - segment % UInt64(SegmentPage.entryCount)
    let offset = Self.offset(of: first)
    let expected = Int(min(blockSize, fileSize - offset))
    let bytes = try file.readArray(expected, at: offset)
    guard bytes.count == expected else {
      throw ReplError(.damaged, subject: path, cause: "ends at byte \(offset + UInt64(bytes.count))")
    }
    return SegmentPage(
      firstSegment: first, bytes: bytes + [UInt8](repeating: 0, count: Int(blockSize) - expected))
  }

  /// The first page at or after the one of `segment` that is not in a hole, or nil when all the rest is zero.
  public func nextUsedPage(from segment: UInt64) throws(ReplError) -> SegmentPage? {
    guard segment < segmentCount else { return nil }
    let first = segment - segment % UInt64(SegmentPage.entryCount)
    guard let data = try file.nextData(from: Self.offset(of: first)), data.offset < fileSize else { return nil }
    return try page(containing: (data.offset - Self.headerSize) / UInt64(SegmentPage.entrySize))
  }

  /// The sum of the whole volume, by streaming over the allocated pages.
  public func total() throws(ReplError) -> BlockSum {
    var total = BlockSum.zero
    var position: UInt64 = 0
    while let page = try nextUsedPage(from: position) {
      position = page.firstSegment + UInt64(SegmentPage.entryCount)
      for segment in page.firstSegment..<min(position, segmentCount) where page.isUsed(segment: segment) {
        guard let sum = page.sum(ofSegment: segment) else { throw damagedEntry(segment) }
        total += sum
      }
    }
    return total
  }

  /// fsync. After an error the table must be discarded.
  public func synchronize() throws(ReplError) { try file.synchronize() }

  public func close() throws(ReplError) { try file.close() }

  func write(_ page: SegmentPage) throws(ReplError) {
    let offset = Self.offset(of: page.firstSegment)
    let count = Int(min(blockSize, fileSize - offset))
    try file.writeArray(Array(page.bytes.prefix(count)), at: offset)
  }

  private var fileSize: UInt64 { Self.offset(of: segmentCount) }

  private func damagedEntry(_ segment: UInt64) -> ReplError {
    ReplError(.damaged, subject: path, cause: "the entry of segment \(segment) does not match its checksum")
  }

  private static func offset(of segment: UInt64) -> UInt64 { headerSize + segment * UInt64(SegmentPage.entrySize) }

  private func writeHeader() throws(ReplError) {
    var payload = ByteWriter()
    payload.write(volumeSize)
    payload.write(keyID)
    try file.writeArray(Self.envelope.encode(payload.bytes), at: 0)
    try file.truncate(to: fileSize)
  }
}
