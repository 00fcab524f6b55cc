import BlockDiff
import GRDB
import ReplModel

/// Resolves doubt: reads the doubtful segments of each image by itself. What is as the image's own table says is trusted
/// again, what is not is damage there too.
struct DoubtReader: Sendable {
  let context: TargetContext
  /// Segments read of one image before what they showed is recorded.
  static let batch: UInt64 = 64
  /// Most doubtful segments that a session waits for when it wants a point for its base.
  static let waitLimit: UInt64 = 64

  /// Rounds after which the rest waits for the next call: each can find damage that makes others doubtful.
  private static let rounds = 16

  /// Reads until nothing is doubtful. An image that cannot be looked at now is left for a later call.
  ///
  /// - Throws: `cancelled` from `pace`, errors of the database.
  func run(pace: Pace) throws(ReplError) {
    var count = 0
    while count < Self.rounds, try round(pace: pace) { count += 1 }
  }

  /// Whether anything was read.
  private func round(pace: Pace) throws(ReplError) -> Bool {
    var isAny = false
    for record in try context.database.read({ try PreparedRecord.doubtful($0) }) {
      let isRead = try guarding(record.cluster, record.seal.volume) { () throws(ReplError) in
        try look(at: record, pace: pace).map { _ in true }
      }
      isAny = isRead || isAny
    }
    for point in try context.database.read({ try CatalogPoint.doubtful($0) }) {
      let source = try SourceVolume(cluster: point.cluster, volume: point.volume)
      let isRead = try guarding(point.cluster, point.volume) { () throws(ReplError) in
        var (next, checked): (CatalogPoint?, Int?) = (point, nil)
        while let current = next, !current.doubtful.isEmpty {
          next = try read(current, of: source, isTableChecked: checked == current.repairs, pace: pace)
          checked = current.repairs
        }
        return true
      }
      isAny = isRead || isAny
    }
    return isAny
  }

  /// Whether a point that is only doubtful, and not in many segments, is trusted after it was read now.
  func isClean(_ point: CatalogPoint) throws(ReplError) -> Bool {
    guard point.isOnlyDoubtful, point.doubtful.count <= Self.waitLimit else { return false }
    let source = try SourceVolume(cluster: point.cluster, volume: point.volume)
    return try read(point, of: source, isTableChecked: false, pace: { (_) in })?.isTrusted ?? false
  }

  /// Whether a prepared member is what was sealed where it is doubtful. One that is not is let go: its source ships it
  /// again.
  func isClean(_ record: PreparedRecord, pace: Pace) throws(ReplError) -> Bool {
    try look(at: record, pace: pace) ?? false
  }

  /// As ``isClean(_:pace:)``; nil for a member that cannot be looked at now.
  private func look(at record: PreparedRecord, pace: Pace) throws(ReplError) -> Bool? {
    let source = try record.source()
    let store = try context.store(pool: record.pool)
    guard let staged = try store.preparedPoint(of: source), staged.seal == record.seal else { return nil }
    let image = RecoveryPoint(record: staged, paths: store.layout.staging(source))
    let key = try store.keys(of: source).key(of: record.seal.lineage)
    let reading = try store.read(record.doubtful, of: image, key: key, pace: pace)
    guard reading.different.isEmpty else {
      // First, so that a crash leaves no sealed staging area that a start adopts as if nothing were known of it.
      try DamageBook(context: context).doubt(
        reading.different, of: source, because: Self.reason(reading, "a prepared member"))
      // It may have been committed while it was read, and the next one prepared.
      let isHeld = try context.database.write { database in
        try record.delete(database)
        return database.changesCount > 0
      }
      if isHeld, try store.preparedPoint(of: source)?.seal == record.seal { try store.discardStaging(of: source) }
      return false
    }
    let isAll = try context.database.write { try PreparedRecord.noteClean($0, record, read: record.doubtful) }
    if isAll { DamageBook(context: context).settle(source) }
    return isAll
  }

  /// Reads a batch of a point's doubtful segments and records what they showed; the point after it, nil if it is gone.
  ///
  /// - Parameter isTableChecked: whether the table of this image was seen to add up to its seal just now.
  private func read(
    _ point: CatalogPoint, of source: SourceVolume, isTableChecked: Bool, pace: Pace
  ) throws(ReplError) -> CatalogPoint? {
    let book = DamageBook(context: context)
    let batch = point.doubtful.clamped(toVolume: point.seal.size).prefix(Self.batch)
    let reading: SegmentReading
    do throws(ReplError) {
      reading = try self.reading(batch, of: point, source, isTableChecked, pace)
    } catch {
      guard isLoss(error, of: point, source) else { throw error }
      // Nothing to compare with: a whole reading says what is left of it.
      try book.suspect(point.point, of: source, because: error.cause)
      try context.database.write { try CatalogPoint.leaveToWholeReading($0, point) }
      return try current(point, source)
    }
    let note = { (database: Database) throws in
      try CatalogPoint.noteReading(
        database, point, read: batch.isEmpty ? point.doubtful : batch, different: reading.different)
    }
    if reading.different.isEmpty {
      try context.database.write(note)
    } else {
      try book.found(
        reading.different, in: point.point, of: source, seen: point.version,
        because: Self.reason(reading, "point \(point.point)"), noting: note)
    }
    book.settle(source)
    return try current(point, source)
  }

  private func reading(
    _ segments: SegmentSet, of point: CatalogPoint, _ source: SourceVolume, _ isTableChecked: Bool, _ pace: Pace
  ) throws(ReplError) -> SegmentReading {
    let store = try context.store(pool: point.pool)
    let files = try store.point(point.point, of: source)
    let key = try store.keys(of: source).key(of: point.seal.lineage)
    guard files.record.seal == point.seal else {
      throw ReplError(.damaged, subject: files.paths.seal, cause: "its seal on disk is not the one in the database")
    }
    return try store.read(segments, of: files, key: key, isTableChecked: isTableChecked, pace: pace)
  }

  /// Whether an error says something of the point's own files. A pool that gives nothing at all says nothing of them.
  private func isLoss(_ error: ReplError, of point: CatalogPoint, _ source: SourceVolume) -> Bool {
    if error.kind != .io { return [.notFound, .damaged].contains(error.kind) }
    guard let layout = try? context.store(pool: point.pool).layout else { return false }
    return context.pools.answers(around: layout.point(source, point.point).seal)
  }

  private func current(_ point: CatalogPoint, _ source: SourceVolume) throws(ReplError) -> CatalogPoint? {
    try context.database.read { try CatalogPoint.find($0, source, point.point) }
  }

  /// One volume that fails, or cannot be looked at, rests for a while, and does not keep the others from being read.
  private func guarding(
    _ cluster: String, _ volume: VolumeID, _ body: () throws(ReplError) -> Bool?
  ) throws(ReplError) -> Bool {
    let key = ScrubPass.Key(side: .target, cluster: cluster, volume: volume)
    guard !context.doubtPauses.holds(key, at: context.clock.ticks()) else { return false }
    do throws(ReplError) {
      if let isRead = try body() { return isRead }
      context.doubtPauses.add(key, at: context.clock.ticks())
      return false
    } catch {
      guard error.kind != .cancelled else { throw error }
      context.doubtPauses.add(key, at: context.clock.ticks())
      context.metrics.scrubFailed(error)
      return false
    }
  }

  private static func reason(_ reading: SegmentReading, _ what: String) -> String {
    let count = reading.different.count
    if let error = reading.unreadable { return "\(count) segments of \(what) cannot be read or differ: \(error)" }
    return "\(count) segments of \(what) differ"
  }
}
