import BlockDiff
import GRDB
import ReplModel
import WireProtocol

/// Reads points whole and compares them with their seals; records what it finds.
struct PointVerifier: Sendable {
  let context: TargetContext

  /// - Parameter quick: compare stored seals only; nothing is read and nothing is proven.
  func verify(_ source: SourceVolume, _ id: PointID, quick: Bool, pace: @escaping Pace = { (_) in }) throws(ReplError)
    -> VerifyReply
  {
    guard
      let record = try context.database.read({
        try CatalogPoint.find($0, cluster: source.cluster, volume: source.volume, point: id)
      })
    else {
      throw ReplError(.notFound, subject: "recovery point \(id)", cause: "is not held here")
    }
    if quick {
      return VerifyReply(seal: record.seal, computed: nil, bytesRead: 0, damagedSegments: [], state: record.state)
    }
    let store = try context.store(pool: record.pool)
    let point = try files(of: record, source, store)
    let key = try store.keys(of: source).key(of: record.seal.lineage)
    if let bytesRead = try renewTouched(point, key, store, pace) {
      context.metrics.scrubbing(.target).increment(by: Int64(clamping: bytesRead))
      try note(SegmentSet(), of: record, source, unreadable: nil, isRenewed: true)
      return VerifyReply(
        seal: record.seal, computed: record.seal.fingerprint, bytesRead: bytesRead, damagedSegments: [],
        state: try state(of: record, source))
    }
    let result = try store.verify(point, key: key, pace: pace)
    context.metrics.scrubbing(.target).increment(by: Int64(clamping: result.bytesRead))
    let damaged = segments(of: result, size: record.seal.size)
    let needsNewFiles = result.matchesSeal && (result.stampDifference != nil || result.isTableDamaged)
    let isRenewed = needsNewFiles ? try renew(point, key, store, pace) : false
    // Proven, but with a stamp that tells of a touch, and somebody else repairs it: it would be suspect at the next look.
    if !needsNewFiles || isRenewed {
      try note(damaged, of: record, source, unreadable: result.unreadable, isRenewed: isRenewed)
    } else {
      try context.database.write { try CatalogPoint.setRead($0, record, at: context.clock.now()) }
    }
    return VerifyReply(
      seal: record.seal, computed: result.actual.fingerprint, bytesRead: result.bytesRead,
      damagedSegments: damaged.numbers(limit: PointSummary.damageLimit), state: try state(of: record, source))
  }

  private func state(of point: CatalogPoint, _ source: SourceVolume) throws(ReplError) -> PointState {
    try context.database.read { try CatalogPoint.find($0, source, point.point) }?.state ?? point.state
  }

  /// What lies on the disk of a point. Files that are gone, or are not the point's, make it suspect.
  private func files(
    of record: CatalogPoint, _ source: SourceVolume, _ store: PointStore
  ) throws(ReplError) -> RecoveryPoint {
    do throws(ReplError) {
      let point = try store.point(record.point, of: source)
      guard point.record.seal == record.seal else {
        throw ReplError(
          .damaged, subject: "recovery point \(record.point)",
          cause: "its seal on disk is not the one in the database")
      }
      return point
    } catch {
      let isUnreadable =
        error.kind == .io && context.pools.answers(around: store.layout.point(source, record.point).seal)
      guard [.notFound, .damaged].contains(error.kind) || isUnreadable else { throw error }
      try DamageBook(context: context).suspect(record.point, of: source, because: error.cause)
      throw error
    }
  }

  /// A point whose bytes are right and whose stamp or segment table is not: a repair of no segments gives it both anew.
  /// False when somebody else repairs it.
  private func renew(
    _ point: RecoveryPoint, _ key: FingerprintKey, _ store: PointStore, _ pace: @escaping Pace
  ) throws(ReplError) -> Bool {
    guard context.repairs.claim(point.id) else { return false }
    defer { context.repairs.release(point.id) }
    return try RepairArea(of: point, in: store).finish(key: key, now: context.clock.now(), pace: pace) == nil
  }

  /// A point that is not the file that was sealed, as after its pool was moved: reading its new files proves them and it,
  /// once instead of twice. Nil when nobody touched it, somebody else renews it, or it is not what was sealed: then the
  /// reading that says where is still to come.
  private func renewTouched(
    _ point: RecoveryPoint, _ key: FingerprintKey, _ store: PointStore, _ pace: @escaping Pace
  ) throws(ReplError) -> UInt64? {
    guard try store.checkStamp(point) != nil, point.record.keyID == key.id else { return nil }
    var bytesRead: UInt64 = 0
    let counted: Pace = { (bytes) throws(ReplError) in
      bytesRead += bytes
      try pace(bytes)
    }
    do throws(ReplError) {
      return try renew(point, key, store, counted) ? bytesRead : nil
    } catch {
      guard [.notFound, .damaged, .io].contains(error.kind) else { throw error }
      return nil
    }
  }

  /// Where it differs; everywhere if the walk could not tell.
  private func segments(of result: Verification, size: UInt64) -> SegmentSet {
    if result.matchesSeal { return SegmentSet() }
    return result.damaged.isEmpty ? SegmentSet(allOf: size) : SegmentSet(touching: result.damaged)
  }

  /// A point that was read and found equal is proven, as far as nothing was held against it meanwhile and its source does
  /// not doubt what it sealed; one that differs is suspect, with where, and so is what shares its blocks.
  private func note(
    _ damaged: SegmentSet, of seen: CatalogPoint, _ source: SourceVolume, unreadable: ReplError?, isRenewed: Bool
  ) throws(ReplError) {
    let book = DamageBook(context: context)
    let note = { [now = context.clock.now()] (database: Database) throws in
      try CatalogPoint.noteWholeReading(database, seen, damaged: damaged, isRenewed: isRenewed, at: now)
    }
    if damaged.isEmpty {
      try context.database.write(note)
    } else {
      let count = "\(damaged.count) segments"
      try book.found(
        damaged, in: seen.point, of: source, seen: seen.version,
        because: unreadable.map { "\(count) cannot be read or differ: \($0)" } ?? "\(count) differ",
        event: unreadable == nil ? "PointDamaged" : "PointUnreadable", noting: note)
    }
    book.settle(source)
    try context.repairs.review(source.cluster, in: context.database)
  }
}
