import ReplModel

/// The append-only list of what is durable in a staging image, so that a session resumes at chunk level.
///
/// A value with one owner. Memory is bounded: of the records only the runs of ascending ones are remembered, and when
/// there are more than ``runLimit`` of those, the file is rewritten sorted.
public struct Ledger: Sendable {
  static let envelope = Envelope(magic: "RPLLEDGR", version: 1, what: "ledger")
  /// Most runs before the ledger is compacted.
  static let runLimit = 256
  /// Bytes of the header: a frame around the 16 bytes that bind the ledger to its staging identity.
  static let headerSize = UInt64(Envelope.overhead + 16)

  public let path: String
  private let storage: any Storage
  private let binding: Fingerprint
  private let volumeSize: UInt64
  private var file: any StorageFile
  private var end: UInt64
  private var sequence: UInt64
  private(set) var runs: [LedgerRun]
  /// Whether a step failed that is not done again: a sync, or the change of files. Only what failed before, for want of
  /// room, may be asked of the value as it was.
  private(set) var isSpoiled = false

  /// Whether nothing was ever recorded.
  public var isEmpty: Bool { runs.isEmpty }

  /// Makes an empty ledger and syncs the file; the caller syncs the directory.
  ///
  /// - Parameters:
  ///   - binding: the digest of the staging identity; a ledger of another one is refused at open.
  ///   - volumeSize: bytes; no extent may reach beyond.
  static func create(
    _ path: String, binding: Fingerprint, volumeSize: UInt64, in storage: any Storage
  ) throws(ReplError) -> Ledger {
    let file = try storage.open(path, .createNew)
    var payload = ByteWriter()
    payload.write(binding)
    try file.writeArray(envelope.encode(payload.bytes), at: 0)
    try file.synchronize()
    return Ledger(path, file, binding, volumeSize, storage)
  }

  /// Opens a ledger, cutting off everything from the first record on that is torn or damaged. What is cut is only
  /// shipped again.
  static func open(
    _ path: String, binding: Fingerprint, volumeSize: UInt64, in storage: any Storage
  ) throws(ReplError) -> Ledger {
    try storage.removeFile(path + ".new")
    let file = try storage.open(path, .readWrite)
    let header = try file.readArray(Int(headerSize), at: 0)
    let found = try envelope.decode(header, path: path) { (reader) throws(DecodingFailure) in
      try reader.readFingerprint()
    }
    guard found == binding else {
      throw ReplError(.damaged, subject: path, cause: "belongs to another staging image")
    }
    var ledger = Ledger(path, file, binding, volumeSize, storage)
    try ledger.recover()
    return ledger
  }

  private init(
    _ path: String, _ file: any StorageFile, _ binding: Fingerprint, _ volumeSize: UInt64, _ storage: any Storage
  ) {
    self.path = path
    self.storage = storage
    self.binding = binding
    self.volumeSize = volumeSize
    self.file = file
    end = Self.headerSize
    sequence = 0
    runs = []
  }

  /// Records extents that are durable already (fdatasync of the image came first), and makes the record durable.
  /// After an error the whole staging must be discarded, unless it is `noSpace` and this value is not ``isSpoiled``.
  mutating func append(_ extents: ExtentSet) throws(ReplError) {
    guard !extents.isEmpty else { return }
    try write(extents.extents[...])
    try once { (ledger) throws(ReplError) in try ledger.file.synchronizeData() }
    if runs.count > Self.runLimit { try compact() }
  }

  /// All recorded extents, ascending and coalesced. Later appends do not show in it.
  public func merged() -> LedgerMerge { LedgerMerge(file: file, runs: runs) }

  func close() throws(ReplError) { try file.close() }

  private mutating func once(_ body: (inout Ledger) throws(ReplError) -> Void) throws(ReplError) {
    isSpoiled = true
    try body(&self)
    isSpoiled = false
  }

  private mutating func write(_ extents: ArraySlice<Extent>) throws(ReplError) {
    var rest = extents
    while !rest.isEmpty {
      let batch = rest.prefix(LedgerRecord.maximumCount)
      try file.writeArray(LedgerRecord.encode(batch, sequence: sequence), at: end)
      note(batch)
      rest = rest.dropFirst(batch.count)
    }
  }

  /// Counts a record that lies at `end`.
  private mutating func note(_ extents: ArraySlice<Extent>) {
    guard let first = extents.first, let last = extents.last else { return }
    let next = end + LedgerRecord.size(count: extents.count)
    if let index = runs.indices.last, runs[index].lastEnd <= first.offset {
      runs[index].end = next
      runs[index].lastEnd = last.end
    } else {
      runs.append(LedgerRun(start: end, end: next, firstOffset: first.offset, lastEnd: last.end))
    }
    end = next
    sequence += 1
  }

  private mutating func recover() throws(ReplError) {
    let size = try file.size()
    while let extents = try readRecord(fileSize: size) { note(extents[...]) }
    guard end < size else { return }
    try file.truncate(to: end)
    try file.synchronize()
  }

  /// The record at `end`, or nil when there is no whole one.
  private func readRecord(fileSize: UInt64) throws(ReplError) -> [Extent]? {
    guard end + LedgerRecord.headerSize <= fileSize else { return nil }
    let header = try file.readArray(Int(LedgerRecord.headerSize), at: end)
    guard let count = LedgerRecord.count(header[...], sequence: sequence) else { return nil }
    let size = LedgerRecord.size(count: count)
    guard size <= fileSize - end else { return nil }
    return LedgerRecord.decode(try file.readArray(Int(size), at: end), count: count, size: volumeSize)
  }

  /// Writes the merged extents into a new file, which then takes the place of this one; a crash leaves one of the two.
  private mutating func compact() throws(ReplError) {
    let temporary = path + ".new"
    try storage.removeFile(temporary)
    var fresh = try Ledger.create(temporary, binding: binding, volumeSize: volumeSize, in: storage)
    var merge = merged()
    var batch: [Extent] = []
    while let extent = try merge.next() {
      batch.append(extent)
      guard batch.count == LedgerRecord.maximumCount else { continue }
      try fresh.write(batch[...])
      batch.removeAll(keepingCapacity: true)
    }
    try fresh.write(batch[...])
    try fresh.file.synchronize()
    try once { (ledger) throws(ReplError) in
      try ledger.storage.replace(temporary, with: ledger.path)
      try ledger.storage.synchronizeDirectory(parentDirectory(of: ledger.path))
    }
    // The old file stays open for streams that still read it and closes with the last of them.
    (file, end, sequence, runs) = (fresh.file, fresh.end, fresh.sequence, fresh.runs)
  }
}
