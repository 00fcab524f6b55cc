public import ReplModel
import Threads

/// What reading a snapshot has shown so far: the sums of its segments, and which of its blocks need not travel. What was
/// read is not read again, whatever became of the connection or the process meanwhile.
///
/// Three files beside the image, which never changes: the table; `equal`, a ledger of blocks that are those of the base;
/// and `summed`, a ledger of segments. A segment is in `summed` only after its entry in the table, and what of it is
/// equal, were synced; without that an entry means nothing. What is lost of them is read again, and what is wrong in them
/// fails the proof. Safe from any thread; calls block while files are synced.
public final class SnapshotSums: Sendable {
  /// Bytes read, and seconds, after which a record is made: when both have passed.
  static let recordAfter: (bytes: UInt64, seconds: Double) = (64 << 20, 1)
  /// Runs of equal blocks that wait for a record; of more it is only not known that they are equal.
  static let equalLimit = 65_536

  /// What the sums are of, and what blocks are compared with.
  public struct Identity: Sendable {
    let point: PointID
    let size: UInt64
    let keyID: UInt64
    let base: Seal?

    /// - Parameters:
    ///   - size: the snapshot's, in bytes.
    ///   - base: of whose table this one is a clone; nil for an empty one.
    public init(point: PointID, size: UInt64, keyID: UInt64, base: Seal?) {
      self.point = point
      self.size = size
      self.keyID = keyID
      self.base = base
    }

    /// Binds the ledgers to this identity.
    var digest: Fingerprint {
      var writer = ByteWriter()
      writer.write(point)
      writer.write(size)
      writer.write(keyID)
      writer.writeOptional(base) { (writer, base) in
        writer.write(base.point)
        writer.write(base.fingerprint)
      }
      return Fingerprint(binding: writer.bytes)
    }
  }

  /// What was read since the last record.
  fileprivate struct Batch: Sendable {
    var summed = ExtentSet()
    var equal = ExtentSet()
    var bytes: UInt64 = 0
  }

  fileprivate struct State: ~Copyable {
    var editor: SegmentTableEditor
    var pending = Batch()
    var recordedAt: Double
    var isRecording = false
    var isKept: Bool
  }

  public let table: SegmentTable
  private let directory: String
  private let identity: Identity
  private let storage: any Storage
  private let seconds: @Sendable () -> Double
  private let state: Turn<State>
  private let ledgers: Turn<SumLedgers?>

  /// Takes up what is there of the same identity, or begins anew.
  ///
  /// - Parameters:
  ///   - directory: the snapshot's.
  ///   - isKept: whether the image will be the same when it is read again; false for a live volume.
  ///   - seconds: a clock that never goes back.
  ///   - fresh: makes the table at that path, where none is.
  public static func open(
    in directory: String, of identity: Identity, isKept: Bool, storage: any Storage,
    seconds: @escaping @Sendable () -> Double, fresh: (String) throws(ReplError) -> SegmentTable
  ) throws(ReplError) -> SnapshotSums {
    let path = directory + "/segments"
    if isKept, let (table, ledgers) = resumed(path, directory, identity, storage) {
      return SnapshotSums(table, ledgers, directory, identity, isKept: true, storage, seconds)
    }
    // Before there is another table: after a crash the ledgers must not vouch for that.
    try SumLedgers.remove(from: directory, storage)
    try storage.removeFile(path)
    return SnapshotSums(try fresh(path), nil, directory, identity, isKept: isKept, storage, seconds)
  }

  /// Nil for what cannot be read, or is of something else: then all of it is read again.
  private static func resumed(
    _ path: String, _ directory: String, _ identity: Identity, _ storage: any Storage
  ) -> (SegmentTable, SumLedgers)? {
    guard let ledgers = try? SumLedgers.open(in: directory, of: identity, storage) else { return nil }
    guard let table = try? SegmentTable.open(path, .readWrite, in: storage) else { return nil }
    guard table.volumeSize == identity.size, table.keyID == identity.keyID else { return nil }
    return (table, ledgers)
  }

  private init(
    _ table: SegmentTable, _ ledgers: SumLedgers?, _ directory: String, _ identity: Identity, isKept: Bool,
    _ storage: any Storage, _ seconds: @escaping @Sendable () -> Double
  ) {
    self.table = table
    self.directory = directory
    self.identity = identity
    self.storage = storage
    self.seconds = seconds
    self.ledgers = Turn(ledgers)
    state = Turn(State(editor: SegmentTableEditor(table), recordedAt: seconds(), isKept: isKept))
  }

  /// Notes the sum of a segment of which everything was read.
  ///
  /// - Parameter equal: its blocks that need not travel, as far as they were looked at.
  public func set(segment: UInt64, _ sum: BlockSum, equal: [Extent] = []) throws(ReplError) {
    let start = segment * segmentSize
    let extent = Extent(from: start, to: min(start + segmentSize, identity.size))
    let now = seconds()
    let batch = try state.take { (state) throws(ReplError) -> Batch? in
      try state.editor.set(segment: segment, sum)
      guard state.isKept else { return nil }
      state.pending.summed.insert(extent)
      if state.pending.equal.extents.count < Self.equalLimit {
        for extent in equal { state.pending.equal.insert(extent) }
      }
      state.pending.bytes += extent.length
      let (bytes, seconds) = Self.recordAfter
      guard state.pending.bytes >= bytes, now - state.recordedAt >= seconds else { return nil }
      return try state.takeBatch(at: now)
    }
    if let batch { try record(batch) }
  }

  /// Writes what is in memory of the table; not durable before ``SegmentTable/synchronize()``.
  public func flush() throws(ReplError) { try state.take { (state) throws(ReplError) in try state.editor.flush() } }

  /// What was recorded until now; nil when there is nothing.
  public func recorded() -> RecordedSums? {
    ledgers.take { $0.map { RecordedSums(table: table, size: identity.size, summed: $0.summed.merged()) } }
  }

  /// Blocks that need not travel, as far as that was recorded until now.
  public func recordedEqual() -> LedgerMerge? { ledgers.take { $0?.equal.merged() } }

  /// There is nothing to take up again: the snapshot is proven, or what was recorded cannot be relied on.
  public func forget() {
    state.take { $0.isKept = false }
    ledgers.take { $0 = nil }
    Self.forget(in: directory, storage)
  }

  /// The same for a snapshot whose sums nobody has open.
  public static func forget(in directory: String, _ storage: any Storage) {
    // What stays is of no use and no harm.
    try? SumLedgers.remove(from: directory, storage)
  }

  /// Records the rest, if it is of use, and closes the table. The ledgers close with those who still read them.
  public func close() {
    let batch = try? state.take { (state) throws(ReplError) in try state.takeBatch(at: state.recordedAt) }
    if let batch { try? record(batch) }
    try? table.close()
  }

  private func record(_ batch: Batch) throws(ReplError) {
    defer { state.take { $0.isRecording = false } }
    do throws(ReplError) {
      try table.synchronize()
    } catch {
      forget()
      throw error
    }
    do throws(ReplError) {
      try ledgers.take { (ledgers) throws(ReplError) in
        if ledgers == nil { ledgers = try SumLedgers.create(in: directory, of: identity, storage) }
        try ledgers?.append(summed: batch.summed, equal: batch.equal)
      }
    } catch {
      // Only for want of them nothing fails.
      forget()
    }
  }
}

extension SnapshotSums.State {
  /// What is to be recorded, its entries written; nil while another record is made, or nothing is to be.
  fileprivate mutating func takeBatch(at now: Double) throws(ReplError) -> SnapshotSums.Batch? {
    guard isKept, !isRecording, !pending.summed.isEmpty else { return nil }
    try editor.flush()
    (isRecording, recordedAt) = (true, now)
    defer { pending = SnapshotSums.Batch() }
    return pending
  }
}
