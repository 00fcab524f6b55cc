public import ReplModel
import Threads

/// Where the next point of a volume grows: a clone of the base into which chunks are written, and the ledger of what is
/// durable of them.
///
/// Any thread may write; everything else is called from one thread at a time. Writers are fenced: ``fence()``,
/// ``seal(_:)``, ``close()`` and ``discard()`` let nobody in any more and wait until those inside have left, so that no
/// write begins or ends after them. A write that found no room leaves the area as it was. After any other error from
/// writing or syncing the whole area is discarded, its descriptor is never synced again, and every later call throws
/// that error: open a new one.
public final class StagingArea: Sendable {
  /// How the area came about, for the status.
  public enum Origin: Sendable {
    /// Found with the same identity; ``durableExtents()`` says what it has.
    case resumed
    /// The clone made ahead after the last seal.
    case readyClone
    /// Cloned from the base now.
    case clone
    /// An empty file.
    case empty
  }

  /// Most bytes that may be written and not yet recorded, those whose record is under way included. A record begins at half
  /// of it, so that writing goes on while it is made.
  public static let unrecordedLimit: UInt64 = 64 << 20
  /// Longest time between a write and its record, in nanoseconds.
  public static let unrecordedTime: UInt64 = 1_000_000_000
  /// Most extents that may wait for their record.
  static let unrecordedExtents = 16384
  /// Longest wait for writes in flight when writers are shut out.
  public static let drainTime = Duration.seconds(30)

  public let identity: StagingIdentity
  public let source: SourceVolume
  public let origin: Origin
  public let store: PointStore
  /// What failed of the base while the area was proven.
  public let baseWitness = ReadWitness()
  /// The image that this area was cloned from; nil for an empty start.
  let baseImage: ImageStamp?
  let paths: PointPaths
  let image: any StorageFile
  private let clock: ElapsedClock
  private let state: Locked<State>
  private let gate = WriterGate()
  /// Of whoever records progress, the sync of the image included.
  private let recording = Turn(())
  /// What was recorded last. Changed by whoever has the turn ``recording``.
  private let ledger: Turn<Ledger>
  /// Keeps everybody else from these files, as long as anybody may still write through this area.
  private let lock: any StorageLock

  fileprivate struct State {
    var pending = Pending()
    /// Bytes of the record under way.
    var syncing: UInt64 = 0
    /// Bytes of the writes under way.
    var bytesInFlight: UInt64 = 0
    var failure: ReplError?
    var isClosed = false
    var prepared: PointRecord?
  }

  fileprivate struct Pending {
    var extents = ExtentSet()
    var bytes: UInt64 = 0
    /// When the first of them was written, by the elapsed clock.
    var since: UInt64 = 0

    /// Takes up again what was on its way to the ledger.
    mutating func putBack(_ earlier: Pending) {
      since = extents.isEmpty ? earlier.since : min(since, earlier.since)
      extents = extents.union(earlier.extents)
      bytes += earlier.bytes
    }
  }

  init(
    identity: StagingIdentity, source: SourceVolume, origin: Origin, store: PointStore, image: any StorageFile,
    ledger: Ledger, clock: ElapsedClock, lock: any StorageLock, baseImage: ImageStamp?
  ) {
    self.lock = lock
    self.baseImage = baseImage
    self.identity = identity
    self.source = source
    self.origin = origin
    self.store = store
    self.image = image
    self.clock = clock
    paths = store.layout.staging(source)
    state = Locked(State())
    self.ledger = Turn(ledger)
  }

  /// The error that made the area useless, if there was one.
  public var failure: ReplError? { state.withLock { $0.failure } }

  /// Whether the files are open: not after ``close()``, ``discard()``, or a seal that came to its last step.
  public var isOpen: Bool { state.withLock { !$0.isClosed } }

  /// The record of the sealed area, once ``seal(_:)`` said so: nothing can be written any more.
  public var prepared: PointRecord? { state.withLock { $0.prepared } }

  /// Bytes written and not yet recorded.
  public var unrecordedBytes: UInt64 { state.withLock { $0.pending.bytes + $0.syncing } }

  /// Writes bytes of the snapshot; records progress when that is due.
  ///
  /// - Parameter generation: of a ``StagingWriter``; nil for the area's owner.
  public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, as generation: UInt64? = nil) throws(ReplError)
  {
    let extent = Extent(offset: offset, length: UInt64(bytes.count))
    try change(extent, cost: extent.length, generation) { () throws(ReplError) in
      try image.write(bytes, at: offset)
    }
  }

  /// The right to write that ends when writers are shut out next.
  public func makeWriter() -> StagingWriter { StagingWriter(area: self, generation: gate.generation) }

  /// Shuts out every writer made so far and waits for its writes; those made afterwards may write.
  ///
  /// - Throws: `transient` when a write does not end within `limit`: then nobody may write until a call succeeds.
  public func fence(within limit: Duration = drainTime) throws(ReplError) {
    try shutOut(within: limit)
    gate.open()
  }

  /// Makes a range zeros, which cost no space.
  public func writeZeros(_ extent: Extent, as generation: UInt64? = nil) throws(ReplError) {
    try change(extent, cost: min(extent.length, blockSize), generation) { () throws(ReplError) in
      try image.punchHole(extent)
    }
  }

  /// Records progress if the limits on unrecorded bytes or time ask for it: for a timer, when no more chunks come.
  public func recordProgressIfDue() throws(ReplError) {
    if isRecordDue { try recordProgress() }
  }

  /// Makes everything written so far durable, then says so in the ledger: in that order.
  public func recordProgress() throws(ReplError) {
    try recording.take { (_) throws(ReplError) in try record() }
  }

  /// What is durable, for resuming. Ascending and coalesced.
  public func durableExtents() -> LedgerMerge { ledger.take { $0.merged() } }

  /// Bytes that ``durableExtents()`` adds up to; reads the ledger.
  public func durableByteCount() throws(ReplError) -> UInt64 {
    var extents = durableExtents()
    var total: UInt64 = 0
    while let extent = try extents.next() { total += extent.length }
    return total
  }

  /// Lets go of the files and keeps the area for a later session.
  public func close() throws(ReplError) {
    try shutOut()
    defer { lock.release() }
    guard markClosed() else { return }
    do throws(ReplError) {
      try recording.take { (_) throws(ReplError) in
        try image.close()
        try closeLedger()
      }
    } catch { throw fail(error) }
  }

  /// Deletes the area. Nothing is synced.
  public func discard() throws(ReplError) {
    let isQuiet = gate.shut(drainedWithin: Self.drainTime)
    // What a write in flight changes then has no name any more; its descriptor closes with the last of its users.
    if markClosed(), isQuiet { _ = recording.take(until: .after(.zero)) { _ in try? image.close() } }
    defer { if isQuiet { lock.release() } }
    try store.discard(paths.directory)
  }

  // MARK: For sealing

  /// Runs a step that touches what is on disk; an error makes the area useless.
  func step<Value>(_ body: () throws(ReplError) -> Value) throws(ReplError) -> Value {
    try checkUsable()
    do throws(ReplError) { return try body() } catch { throw fail(error) }
  }

  /// As ``step(_:)`` for what can be made anew: want of room leaves the area as it was.
  func repeatableStep<Value>(_ body: () throws(ReplError) -> Value) throws(ReplError) -> Value {
    try checkUsable()
    do throws(ReplError) { return try body() } catch { throw error.kind == .noSpace ? error : fail(error) }
  }

  /// Lets nobody write any more, and returns when nobody does.
  func shutOut(within limit: Duration = drainTime) throws(ReplError) {
    guard gate.shut(drainedWithin: limit) else {
      throw ReplError(
        .transient, subject: paths.directory, cause: "a write of an earlier session has not ended",
        remedy: "look whether the pool's file system answers")
    }
  }

  /// After a mismatch: what differs is written once more.
  func letIn() { gate.open() }

  /// The image's descriptor is closed and the area is not sealed: its files stay for a session that resumes.
  func setClosed() { _ = markClosed() }

  func setPrepared(_ record: PointRecord) {
    state.withLock {
      $0.prepared = record
      $0.isClosed = true
    }
    lock.release()
  }

  func closeLedger() throws(ReplError) {
    try ledger.take { (ledger) throws(ReplError) in try ledger.close() }
  }

  // MARK: -

  private var isRecordDue: Bool {
    let now = clock.now()
    return state.withLock { state in
      guard !state.pending.extents.isEmpty else { return false }
      return state.pending.bytes >= Self.unrecordedLimit / 2 || now - state.pending.since >= Self.unrecordedTime
        || state.pending.extents.extents.count >= Self.unrecordedExtents
    }
  }

  private func change(
    _ extent: Extent, cost: UInt64, _ generation: UInt64?, _ body: () throws(ReplError) -> Void
  ) throws(ReplError) {
    guard !extent.isEmpty else { return }
    guard extent.length <= identity.size, extent.offset <= identity.size - extent.length else {
      throw ReplError(
        .invalid, subject: "\(source)",
        cause: "a chunk at \(extent) lies beyond the end of the volume at \(identity.size) bytes")
    }
    try enter(generation)
    defer { leave() }
    try claim(cost)
    do throws(ReplError) {
      try body()
    } catch {
      state.withLock { $0.bytesInFlight -= cost }
      // Of a write without room nothing is claimed: it comes again, to the same place.
      throw error.kind == .noSpace ? error : fail(error)
    }
    let now = clock.now()
    state.withLock { state in
      state.bytesInFlight -= cost
      if state.pending.extents.isEmpty { state.pending.since = now }
      // Only now: what is listed here has been written, so that the next fdatasync covers it.
      state.pending.extents.insert(extent)
      state.pending.bytes += cost
    }
    guard isRecordDue else { return }
    // If another thread records already, this one goes on writing.
    _ = try recording.take(until: .after(.zero)) { (_) throws(ReplError) in try record() }
  }

  /// Waits until a write of that many bytes does not make too much unrecorded.
  private func claim(_ cost: UInt64) throws(ReplError) {
    while true {
      let (refusal, mayWrite) = state.withLock { state -> (ReplError?, Bool) in
        if let refusal = unusable(state) { return (refusal, false) }
        guard state.hasRoom(for: cost) else { return (nil, false) }
        state.bytesInFlight += cost
        return (nil, true)
      }
      if let refusal { throw refusal }
      if mayWrite { return }
      // Waits for the record under way, and makes the next one.
      try recordProgress()
    }
  }

  private func record() throws(ReplError) {
    try checkUsable()
    let batch = state.withLock { state in
      state.syncing = state.pending.bytes
      defer { state.pending = Pending() }
      return state.pending
    }
    guard !batch.extents.isEmpty else { return }
    var ledger = self.ledger.take { $0 }
    var isSynced = false
    do throws(ReplError) {
      try image.synchronizeData()
      isSynced = true
      try ledger.append(batch.extents)
    } catch {
      guard isSynced, error.kind == .noSpace, !ledger.isSpoiled else { throw fail(error) }
      // The chunks are durable; what lacks is room to say so.
      state.withLock { state in
        state.pending.putBack(batch)
        state.syncing = 0
      }
      throw error
    }
    self.ledger.take { [ledger] in $0 = ledger }
    state.withLock { $0.syncing = 0 }
  }

  private func enter(_ generation: UInt64?) throws(ReplError) {
    guard !gate.enter(generation) else { return }
    // Its owner has sealed or closed it.
    if generation == nil { try checkUsable() }
    throw ReplError(
      .transient, subject: "\(source)", cause: "the session that wrote here is over", remedy: "begin it again")
  }

  private func leave() {
    gate.leave()
    if failure != nil, gate.isEmpty { lock.release() }
  }

  private func checkUsable() throws(ReplError) {
    if let refusal = state.withLock({ unusable($0) }) { throw refusal }
  }

  /// Why nothing can be done with the area any more; nil while something can.
  private func unusable(_ state: State) -> ReplError? {
    if let failure = state.failure { return failure.kind == .noSpace ? givenUp(failure) : failure }
    guard state.isClosed else { return nil }
    return ReplError(.bug, subject: paths.directory, cause: "is used after it was closed or sealed")
  }

  /// Room that is made now is of no use to this area, but to the next one.
  private func givenUp(_ failure: ReplError) -> ReplError {
    ReplError(
      .transient, subject: paths.directory, cause: "was given up for want of room: \(failure.cause)",
      remedy: "begin the session again: it is shipped once more")
  }

  /// Remembers the first error and takes the area out of the way at once, so that no later session resumes it.
  private func fail(_ error: ReplError) -> ReplError {
    let isFirst = state.withLock { state in
      defer { if state.failure == nil { state.failure = error } }
      return state.failure == nil
    }
    if isFirst { try? store.discard(paths.directory) }
    if gate.isEmpty { lock.release() }
    return error
  }

  /// Whether the files were open until now.
  private func markClosed() -> Bool {
    state.withLock { state in
      defer { state.isClosed = true }
      return !state.isClosed
    }
  }
}

extension StagingArea.State {
  /// Whether another write may begin. Where nothing can be recorded, since all there is is still being written, it may.
  fileprivate func hasRoom(for cost: UInt64) -> Bool {
    let recordable = pending.bytes + syncing
    return recordable == 0 || recordable + bytesInFlight + cost <= StagingArea.unrecordedLimit
  }
}

/// What one data stream writes into a staging area with, until writers are shut out. Any thread may call.
public struct StagingWriter: Sendable {
  let area: StagingArea
  let generation: UInt64

  /// Writes bytes of the snapshot; records progress when that is due.
  ///
  /// - Throws: `transient` once writers were shut out; nothing was written then.
  public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ReplError) {
    try area.write(bytes, at: offset, as: generation)
  }

  /// Makes a range zeros, which cost no space.
  public func writeZeros(_ extent: Extent) throws(ReplError) { try area.writeZeros(extent, as: generation) }
}
