import BlockDiff
import ReplModel

/// Reads pinned twins against the sums their seals were made of, slice by slice. See ``ScrubPass``.
struct SourceScrub: Sendable {
  let context: SourceContext
  /// Bytes of segments after which the newest twin is chosen anew and what was read is recorded.
  var sliceBytes: UInt64 = 256 << 20

  /// Scrubs a slice of a volume whose turn it is; false if there is none.
  ///
  /// - Throws: what went wrong with this volume, which is left alone for a while then; `.cancelled` from `pace`.
  func slice(pace: @escaping Pace) throws(ReplError) -> Bool {
    let book = ScrubBook(
      database: context.database, clock: context.clock, period: context.configuration.scrubPeriod,
      pauses: context.scrubPauses)
    let twins = try newestTwins()
    let candidates = twins.map { key, twin in
      ScrubBook.Candidate(key: key, point: twin.point, generation: twin.generation, provenAt: twin.takenAt)
    }
    guard let pass = try book.next(candidates), let twin = twins[pass.key] else { return false }
    do throws(ReplError) {
      try run(pass, on: twin, book, pace)
    } catch {
      if error.kind != .cancelled { context.scrubPauses.add(pass.key, at: context.clock.ticks()) }
      throw error
    }
    return true
  }

  /// The newest twin of each volume and peer. Chains of twins for two peers have their own bases: each can miss a change.
  private func newestTwins() throws(ReplError) -> [ScrubPass.Key: SnapshotRecord] {
    try context.database.read { database in
      var newest: [ScrubPass.Key: SnapshotRecord] = [:]
      for volume in try VolumeRecord.all(database) {
        // Newest first.
        for twin in try SnapshotRecord.all(database, volume: volume.id) where twin.state == .sealed && twin.hasImage {
          let key = ScrubPass.Key(side: .source, cluster: twin.peer, volume: volume.id)
          if newest[key] == nil { newest[key] = twin }
        }
      }
      return newest
    }
  }

  private func run(
    _ pass: ScrubPass, on twin: SnapshotRecord, _ book: ScrubBook, _ pace: @escaping Pace
  ) throws(ReplError) {
    guard let volume = try context.database.read({ try VolumeRecord.find($0, twin.volume) }),
      let key = try context.database.read({ try LineageKeys.find($0, volume.lineage) })
    else {
      // An error, so that the pass rests: it would be the next one again.
      throw ReplError(.notFound, subject: "volume \(twin.volume)", cause: "is gone, or has no fingerprint key")
    }
    // Trust comes back with one whole twin that is clean, not with parts of several.
    if volume.distrustReason != nil { return try whole(pass, twin, book, pace) }
    let image = try context.storage.open(twin.imagePath, .read)
    defer { try? image.close() }
    let table = try SegmentTable.open(twin.segmentsPath, in: context.storage)
    defer { try? table.close() }
    var walk = try ScrubWalk(image: image, table: table, key: key, from: min(pass.next ?? 0, table.segmentCount))
    switch try ScrubSlice.read(&walk, atMost: sliceBytes, pace: context.metrics.counted(.source, pace)) {
    case .different: try whole(pass, twin, book, pace)
    case .more(let position):
      var pass = pass
      pass.next = position
      try book.save(pass)
    case .end: try finish(pass, twin)
    }
  }

  /// Something differs: the twin as a whole says how much, and what is done about it.
  private func whole(
    _ pass: ScrubPass, _ twin: SnapshotRecord, _ book: ScrubBook, _ pace: @escaping Pace
  ) throws(ReplError) {
    var pass = pass
    pass.startedAt = context.clock.now()
    pass.end(isClean: try TwinScrub(context: context).run(twin, pace: pace))
    try book.save(pass)
  }

  private func finish(_ pass: ScrubPass, _ twin: SnapshotRecord) throws(ReplError) {
    var pass = pass
    pass.end(isClean: true)
    let now = context.clock.now()
    try context.database.write { [pass] database in
      try pass.update(database)
      // Each segment was clean on the first twin or a later one: nothing was missed up to the first.
      try CleanScrub.record(database, volume: twin.volume, peer: twin.peer, generation: pass.firstGeneration)
      if pass.firstPoint == twin.point { try SnapshotRecord.setScrubbed(database, twin.point, now) }
    }
  }
}
