public import ReplModel

/// Writes a plan: extents in ascending order, streamed to disk in bounded memory. One thread at a time.
///
/// A plan that was not finished has no header and is refused by ``PlanReader``.
public final class PlanFile {
  private let storage: any Storage
  private let file: any StorageFile
  private let page = AlignedBuffer(count: PlanFormat.pageSize)
  private var pageRecords = 0
  private var position = UInt64(PlanFormat.headerSize)
  private var pending: PlannedExtent?
  private var summary: PlanSummary

  /// Begins a new plan at `path`; an older one there is removed. `volumeSize` in bytes.
  public init(creating path: String, volumeSize: UInt64, storage: any Storage) throws(ReplError) {
    try storage.removeFile(path)
    self.storage = storage
    file = try storage.open(path, .createNew)
    let digest = PlanFormat.firstChain(volumeSize: volumeSize)
    summary = PlanSummary(digest: digest, volumeSize: volumeSize, records: 0, dataBytes: 0, zeroBytes: 0)
  }

  /// Adds an extent that starts at or after the end of the one before; neighbours of one kind become one record.
  public func append(_ extent: Extent, _ kind: PlanKind) throws(ReplError) {
    guard !extent.isEmpty else { return }
    let end = pending?.extent.end ?? 0
    guard extent.offset >= end, extent.end <= summary.volumeSize else {
      throw ReplError(
        .bug, subject: file.path, cause: "extent \(extent) is out of order after \(end) or beyond the volume's end")
    }
    if let last = pending, last.kind == kind, last.extent.end == extent.offset {
      pending = PlannedExtent(extent: Extent(from: last.extent.offset, to: extent.end), kind: kind)
      return
    }
    try writePending()
    pending = PlannedExtent(extent: extent, kind: kind)
  }

  /// Completes the plan; when this returns it is durable, its name too.
  public func finish() throws(ReplError) -> PlanSummary {
    try writePending()
    try writePage()
    try PlanFormat.header(summary).withUnsafeBufferPointer { (header) throws(ReplError) in
      try file.write(UnsafeRawBufferPointer(header), at: 0)
    }
    try file.synchronize()
    try file.close()
    try storage.synchronizeDirectory(parentDirectory(of: file.path))
    return summary
  }

  /// Gives up: closes and removes the file.
  public func discard() {
    try? file.close()
    try? storage.removeFile(file.path)
  }

  private func writePending() throws(ReplError) {
    guard let record = pending else { return }
    pending = nil
    PlanFormat.store(record, into: page.bytes, index: pageRecords)
    pageRecords += 1
    summary.records += 1
    switch record.kind {
    case .data: summary.dataBytes += record.extent.length
    case .zero: summary.zeroBytes += record.extent.length
    }
    if pageRecords == PlanFormat.recordsPerPage { try writePage() }
  }

  private func writePage() throws(ReplError) {
    guard pageRecords > 0 else { return }
    let used = page.prefix(PlanFormat.chainSize + pageRecords * PlanFormat.recordSize)
    summary.digest = PlanFormat.nextChain(summary.digest, page: used)
    PlanFormat.store(summary.digest, into: used)
    try file.write(UnsafeRawBufferPointer(used), at: position)
    position += UInt64(PlanFormat.pageSize)
    pageRecords = 0
  }
}
