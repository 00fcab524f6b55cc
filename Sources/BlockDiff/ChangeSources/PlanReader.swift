public import ReplModel

/// Reads a plan from front to back in bounded memory, proving every page before any of its records is used. One
/// thread at a time. Errors are `damaged` when the file is not a whole plan.
public final class PlanReader {
  public let summary: PlanSummary
  private let file: any StorageFile
  private let page = AlignedBuffer(count: PlanFormat.pageSize)
  private var chain: Fingerprint
  private var position = UInt64(PlanFormat.headerSize)
  private var index = 0
  private var pageRecords = 0
  private var recordsLeft: UInt64
  /// End of the record handed out last.
  private var lastEnd: UInt64 = 0

  public init(_ path: String, storage: any Storage) throws(ReplError) {
    file = try storage.open(path, .read)
    var header = [UInt8](repeating: 0, count: PlanFormat.headerSize)
    let count = try header.withUnsafeMutableBufferPointer { [file] (space) throws(ReplError) in
      try file.read(into: UnsafeMutableRawBufferPointer(space), at: 0)
    }
    do throws(DecodingFailure) {
      summary = try PlanFormat.parseHeader(Array(header.prefix(count)))
    } catch {
      throw Self.damage(path, "\(error)")
    }
    chain = PlanFormat.firstChain(volumeSize: summary.volumeSize)
    recordsLeft = summary.records
    if summary.records == 0, chain != summary.digest { throw Self.damage(path, "the digest does not match") }
  }

  /// The next record, or nil at the end.
  public func next() throws(ReplError) -> PlannedExtent? {
    if index == pageRecords {
      guard recordsLeft > 0 else { return nil }
      try readPage()
    }
    guard let record = PlanFormat.load(page.bytes, index: index) else {
      throw Self.damage(file.path, "a record has no known kind")
    }
    let extent = record.extent
    guard extent.offset >= lastEnd, !extent.isEmpty, extent.isWholeBlocks(ofVolume: summary.volumeSize) else {
      throw Self.damage(file.path, "a record is out of order, not of whole blocks or beyond the volume")
    }
    lastEnd = extent.end
    index += 1
    return record
  }

  /// Closes the file; the reader must not be used afterwards.
  public func close() throws(ReplError) { try file.close() }

  private func readPage() throws(ReplError) {
    let count = Int(min(recordsLeft, UInt64(PlanFormat.recordsPerPage)))
    let used = page.prefix(PlanFormat.chainSize + count * PlanFormat.recordSize)
    guard try file.read(into: used, at: position) == used.count else {
      throw Self.damage(file.path, "it ends before its last record")
    }
    let written = PlanFormat.loadChain(used)
    chain = PlanFormat.nextChain(chain, page: used)
    recordsLeft -= UInt64(count)
    guard written == chain, recordsLeft > 0 || chain == summary.digest else {
      throw Self.damage(file.path, "the checksum of the page at offset \(position) does not match")
    }
    position += UInt64(PlanFormat.pageSize)
    (index, pageRecords) = (0, count)
  }

  private static func damage(_ path: String, _ cause: String) -> ReplError {
    ReplError(.damaged, subject: path, cause: "is not a whole plan: \(cause)", remedy: "the plan is made anew")
  }
}
