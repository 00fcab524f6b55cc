import BlockDiff
import ReplModel

/// Reads the newest points of volumes held for peers against their seals, slice by slice. See ``ScrubPass``.
struct TargetScrub: Sendable {
  let context: TargetContext
  /// Bytes of segments after which the newest point is chosen anew and what was read is recorded.
  var sliceBytes: UInt64 = 256 << 20

  /// Scrubs a slice of a volume whose turn it is; false if there is none.
  ///
  /// - Throws: what went wrong with this volume, which is left alone for a while then; `.cancelled` from `pace`.
  func slice(pace: @escaping Pace) throws(ReplError) -> Bool {
    let book = ScrubBook(
      database: context.database, clock: context.clock, period: context.configuration.scrubPeriod,
      pauses: context.scrubPauses)
    let points = try newestPoints()
    let candidates = points.map { key, point in
      ScrubBook.Candidate(
        key: key, point: point.point, generation: point.seal.generation, provenAt: point.provenAt ?? point.sealedAt)
    }
    guard let pass = try book.next(candidates), let point = points[pass.key] else { return false }
    do throws(ReplError) {
      try run(pass, on: point, book, pace)
    } catch {
      if error.kind != .cancelled { context.scrubPauses.add(pass.key, at: context.clock.ticks()) }
      throw error
    }
    return true
  }

  /// Reads a suspect point whole whose turn it is: one whose reason is gone is sealed again, one that was touched gets new
  /// files. At once when it has become suspect, then once in the period. False if there is none.
  func suspect(pace: @escaping Pace) throws(ReplError) -> Bool {
    let now = context.clock.now()
    let due = Timestamp(nanoseconds: now.nanoseconds - Int64(clamping: Int128(context.configuration.scrubPeriod * 1e9)))
    guard let point = try context.database.read({ try CatalogPoint.suspectToRead($0, before: due) }) else {
      return false
    }
    let source = try SourceVolume(cluster: point.cluster, volume: point.volume)
    do throws(ReplError) {
      _ = try PointVerifier(context: context).verify(source, point.point, quick: false, pace: pace)
    } catch {
      if error.kind == .cancelled { throw error }
      // What cannot be read has had its turn: the others get theirs.
      try context.database.write { try CatalogPoint.setRead($0, point, at: now) }
      throw error
    }
    // One that was repaired or found anew while it was read is looked at again in its time.
    try context.database.write { try CatalogPoint.setRead($0, point, at: context.clock.now()) }
    return true
  }

  private func newestPoints() throws(ReplError) -> [ScrubPass.Key: CatalogPoint] {
    try context.database.read { database in
      var newest: [ScrubPass.Key: CatalogPoint] = [:]
      for volume in try Replica.held(database) {
        let points = try CatalogPoint.all(database, cluster: volume.cluster, volume: volume.volume)
        guard let point = points.first(where: { $0.state == .sealed }) else { continue }
        newest[ScrubPass.Key(side: .target, cluster: volume.cluster, volume: volume.volume)] = point
      }
      return newest
    }
  }

  private func run(
    _ pass: ScrubPass, on point: CatalogPoint, _ book: ScrubBook, _ pace: @escaping Pace
  ) throws(ReplError) {
    let source = try SourceVolume(cluster: point.cluster, volume: point.volume)
    let store = try context.store(pool: point.pool)
    let files = try store.point(point.point, of: source)
    if try store.checkStamp(files) != nil { return try whole(pass, point, source, book, pace) }
    let key = try store.keys(of: source).key(of: point.seal.lineage)
    let image = try context.storage.open(files.paths.image, .read)
    defer { try? image.close() }
    let table = try SegmentTable.open(files.paths.segments, in: context.storage)
    defer { try? table.close() }
    var walk = try ScrubWalk(image: image, table: table, key: key, from: min(pass.next ?? 0, table.segmentCount))
    switch try ScrubSlice.read(&walk, atMost: sliceBytes, pace: context.metrics.counted(.target, pace)) {
    case .different: try whole(pass, point, source, book, pace)
    case .more(let position):
      var pass = pass
      pass.next = position
      try book.save(pass)
    case .end: try finish(pass, point)
    }
  }

  /// Something differs: the point as a whole says where, and is noted as suspect and repaired.
  private func whole(
    _ pass: ScrubPass, _ point: CatalogPoint, _ source: SourceVolume, _ book: ScrubBook, _ pace: @escaping Pace
  ) throws(ReplError) {
    var pass = pass
    pass.startedAt = context.clock.now()
    let reply = try PointVerifier(context: context).verify(source, point.point, quick: false, pace: pace)
    pass.end(isClean: reply.state == .sealed && reply.damagedSegments.isEmpty)
    try book.save(pass)
  }

  private func finish(_ pass: ScrubPass, _ point: CatalogPoint) throws(ReplError) {
    var pass = pass
    pass.end(isClean: true)
    let now = context.clock.now()
    try context.database.write { [pass] database in
      try pass.update(database)
      // Of a point that came while the pass was under way not everything was read as its own.
      if pass.firstPoint == point.point { try CatalogPoint.setProven(database, point, at: now) }
    }
  }
}
