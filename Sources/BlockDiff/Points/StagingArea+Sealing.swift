public import ReplModel

/// What a staging area is to be proven equal to.
public struct SealRequest: Sendable {
  /// The source's seal.
  public var seal: Seal
  public var key: FingerprintKey
  public var origin: PointRecord.Origin
  /// By this node's clock.
  public var now: Timestamp

  public init(seal: Seal, key: FingerprintKey, origin: PointRecord.Origin, now: Timestamp) {
    self.seal = seal
    self.key = key
    self.origin = origin
    self.now = now
  }
}

/// Whether a staging area was proven equal to its snapshot.
public enum SealOutcome: Sendable {
  /// It is, and everything about it is durable: ``PointStore/publish(_:of:)`` makes it a point.
  case prepared(PointRecord)
  /// It is not. The area can still be written into; ``StagingArea/stagedSegments()`` tells where it differs.
  case mismatch(actual: BlockSum)
}

extension StagingArea {
  /// Proves the area equal to the source's snapshot and makes it ready to become a point, or says that it differs.
  ///
  /// `proof: delta` reads the touched blocks in base and area; `proof: full` reads every allocated block of the area.
  /// Sealing what is sealed answers the same again. Touches no point. Shuts writers out first; after a mismatch new ones
  /// may write.
  ///
  /// - Throws: `noSpace` where room was missing for what the proof itself writes: what was staged stays, to be
  ///   sealed again if the area is still open, else to be opened again.
  public func seal(_ request: SealRequest, pace: @escaping Pace = { (_) in }) throws(ReplError) -> SealOutcome {
    if let prepared {
      guard prepared.seal == request.seal else { throw refusal("is sealed already, with another seal") }
      return .prepared(prepared)
    }
    try check(request.seal)
    try shutOut()
    try recordProgress()
    try step { () throws(ReplError) in try image.synchronize() }
    let base = try identity.base.map { (id) throws(ReplError) in
      try baseWitness.watch { () throws(ReplError) in try store.point(id, of: source) }
    }
    // What was cloned before a repair may hold the damage where nothing was written since.
    guard base?.record.stamp == baseImage else {
      throw ReplError(
        .transient, subject: "point \(identity.point) of \(source)", cause: "its base was repaired meanwhile",
        remedy: "begin the session again: it starts from the repaired point")
    }
    if request.seal.proof == .delta, let base, base.record.keyID != request.key.id {
      throw ReplError(
        .keyNeeded, subject: "\(source)", cause: "the base was sealed with another fingerprint key",
        remedy: "the source begins again with a full copy")
    }
    let actual: BlockSum
    do throws(ReplError) {
      actual = try recompute(request, base, pace)
    } catch {
      guard error.kind == .io, baseWitness.failure == nil else { throw error }
      // An area that cannot be read back is made anew: resumed it would fail at the same place for ever.
      return try step { () throws(ReplError) in throw error }
    }
    guard actual == request.seal.sum else {
      letIn()
      return .mismatch(actual: actual)
    }
    let record = try repeatableStep { () throws(ReplError) in try prepare(request, base) }
    setPrepared(record)
    return .prepared(record)
  }

  /// After a mismatch: the sums of all segments as the area has them now.
  public func stagedSegments() throws(ReplError) -> SegmentTable {
    try SegmentTable.open(paths.segments, in: store.storage)
  }

  /// After a mismatch: the segments that were written into, ascending, as extents of whole segments.
  public func touchedSegments() -> TouchedSegments { TouchedSegments(durableExtents(), volumeSize: identity.size) }

  private func check(_ seal: Seal) throws(ReplError) {
    let base = seal.proof == .delta ? identity.base : nil
    guard
      seal.point == identity.point, seal.volume == source.volume, seal.size == identity.size, seal.base == base,
      seal.proof == .full || identity.kind == .delta, seal.proof == .delta || identity.kind != .delta
    else { throw refusal("is staged for another seal than the one offered") }
  }

  private func refusal(_ cause: String) -> ReplError {
    ReplError(
      .refused, subject: "point \(identity.point) of \(source)", cause: cause, remedy: "begin the session again")
  }

  private func recompute(
    _ request: SealRequest, _ base: RecoveryPoint?, _ pace: @escaping Pace
  ) throws(ReplError) -> BlockSum {
    // From the base's table each time: an earlier try that found a mismatch leaves nothing behind.
    try repeatableStep { () throws(ReplError) in try store.storage.removeFile(paths.segments) }
    if let base, request.seal.proof == .delta { return try walkChanges(request.key, base, pace) }
    return try readWhole(request, base, pace)
  }

  private func readWhole(
    _ request: SealRequest, _ base: RecoveryPoint?, _ pace: @escaping Pace
  ) throws(ReplError) -> BlockSum {
    let table = try repeatableStep { () throws(ReplError) in
      try SegmentTable.create(
        paths.segments, volumeSize: identity.size, keyID: request.key.id, in: store.storage)
    }
    var editor = SegmentTableEditor(table)
    var done: UInt64 = 0
    let sum: BlockSum
    do throws(ReplError) {
      sum = try FingerprintScan.sum(
        of: image, size: identity.size, key: request.key, readsMedium: true, pace: pace
      ) { (index, sum) throws(ReplError) in
        try editor.set(segment: index, sum)
        done = (index + 1) * segmentSize
      }
    } catch {
      if error.kind == .io, let base { try readSegment(of: base, from: done) }
      throw error
    }
    try repeatableStep { () throws(ReplError) in
      try editor.flush()
      try table.close()
    }
    return sum
  }

  /// Reads the first segment of the base with data at or after `offset`: where the area could not be read, the witness
  /// learns whether the block is the base's own.
  private func readSegment(of base: RecoveryPoint, from offset: UInt64) throws(ReplError) {
    let sealed = WitnessedFile(try store.storage.open(base.paths.image, .read), baseWitness)
    defer { try? sealed.close() }
    guard let data = try sealed.nextData(from: offset) else { return }
    let start = data.offset / segmentSize * segmentSize
    let length = min(segmentSize, base.record.seal.size - min(start, base.record.seal.size))
    _ = try sealed.read(into: AlignedBuffer(count: Int(segmentSize)).prefix(Int(length)), at: start)
  }

  private func walkChanges(
    _ key: FingerprintKey, _ base: RecoveryPoint, _ pace: @escaping Pace
  ) throws(ReplError) -> BlockSum {
    let storage = store.storage
    let sealedTable = try baseWitness.watch { () throws(ReplError) in
      try SegmentTable.open(base.paths.segments, in: storage)
    }
    defer { try? sealedTable.close() }
    let table = try repeatableStep { () throws(ReplError) in
      try SegmentTable.clone(sealedTable, to: paths.segments, volumeSize: identity.size, in: storage)
    }
    let sealed = WitnessedFile(
      try baseWitness.watch { () throws(ReplError) in try storage.open(base.paths.image, .read) }, baseWitness)
    defer { try? sealed.close() }
    let buffer = AlignedBuffer(count: Int(segmentSize))
    var walk = SealWalk(
      base: .init(
        sum: base.record.seal.sum,
        reader: FingerprintReader(sealed, size: base.record.seal.size, key: key, buffer: buffer), table: sealedTable,
        witness: baseWitness),
      image: FingerprintReader(image, size: identity.size, key: key, buffer: buffer, readsMedium: true), table: table,
      pace: pace)
    let sum = try walk.run(durableExtents())
    try repeatableStep { () throws(ReplError) in try table.close() }
    return sum
  }

  /// Makes the area a point in all but place. The order matters: what the seal vouches for is durable before it is.
  private func prepare(_ request: SealRequest, _ base: RecoveryPoint?) throws(ReplError) -> PointRecord {
    let storage = store.storage
    try image.close()
    setClosed()
    let finisher = PointFinisher(paths: paths, storage: storage)
    let stamp = try finisher.freeze()
    let isFull = request.seal.proof == .full
    let record = PointRecord(
      seal: request.seal, source: source, origin: request.origin, stamp: stamp, sealedAt: request.now,
      provenAt: isFull ? request.now : base?.record.provenAt ?? request.now, keyID: request.key.id,
      planDigest: identity.planDigest)
    try finisher.writeSeal(record)
    try closeLedger()
    // The header stays until the point is published: it says which image of the base was cloned.
    try storage.removeFile(paths.ledger)
    try storage.synchronizeDirectory(paths.directory)
    return record
  }
}

/// The segments that a ledger touches, each once.
public struct TouchedSegments: ExtentStream, Sendable {
  private var extents: BlockRoundedStream<LedgerMerge>
  private let volumeSize: UInt64
  private var rest: Extent?
  private var done: UInt64 = 0

  init(_ extents: LedgerMerge, volumeSize: UInt64) {
    self.extents = BlockRoundedStream(extents, volumeSize: volumeSize)
    self.volumeSize = volumeSize
  }

  /// The extent of the next touched segment; the volume's last one may be short.
  public mutating func next() throws(ReplError) -> Extent? {
    while true {
      if rest == nil { rest = try extents.next() }
      guard let extent = rest else { return nil }
      let index = max(extent.offset / segmentSize, done)
      guard index * segmentSize < extent.end else {
        rest = nil
        continue
      }
      done = index + 1
      return Extent(from: index * segmentSize, to: min(done * segmentSize, volumeSize))
    }
  }
}
