import BlockDiff
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
    let point = try store.point(id, of: source)
    guard point.record.seal == record.seal else {
      throw ReplError(
        .damaged, subject: "recovery point \(id)", cause: "its seal on disk is not the one in the database")
    }
    let key = try store.keys(of: source).key(of: record.seal.lineage)
    let result = try store.verify(point, key: key, pace: pace)
    context.metrics.scrubbing(.target).increment(by: Int64(clamping: result.bytesRead))
    let damaged = segments(of: result, size: record.seal.size)
    let needsNewFiles = result.matchesSeal && (result.stampDifference != nil || result.isTableDamaged)
    let isRenewed = needsNewFiles ? try renew(point, key, store, pace) : true
    // Proven, but with a stamp that tells of a touch: it would be suspect again at the next look.
    if result.matchesSeal, !isRenewed {
      return VerifyReply(
        seal: record.seal, computed: result.actual.fingerprint, bytesRead: result.bytesRead, damagedSegments: [],
        state: record.state)
    }
    let state = try note(result, damaged, of: record, source)
    return VerifyReply(
      seal: record.seal, computed: result.actual.fingerprint, bytesRead: result.bytesRead, damagedSegments: damaged,
      state: state)
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

  /// Where it differs; everywhere if the walk could not tell.
  private func segments(of result: Verification, size: UInt64) -> [UInt64] {
    if result.matchesSeal { return [] }
    let whole = [Extent(offset: 0, length: size)]
    var segments: [UInt64] = []
    for extent in result.damaged.isEmpty ? whole : result.damaged.extents {
      for segment in extent.offset / segmentSize..<(extent.end + segmentSize - 1) / segmentSize {
        segments.append(segment)
        if segments.count == PointSummary.damageLimit { return segments }
      }
    }
    return segments
  }

  /// A point that was read and found equal is proven, suspect or not, unless its source doubts what it sealed; one that
  /// differs is suspect, with where.
  private func note(
    _ result: Verification, _ damaged: [UInt64], of point: CatalogPoint, _ source: SourceVolume
  ) throws(ReplError) -> PointState {
    var updated = point
    updated.damaged = damaged
    if result.matchesSeal {
      updated.provenAt = context.clock.now()
      if point.state == .suspect, point.doubt == nil { updated.state = .sealed }
    } else if point.state == .sealed {
      updated.state = .suspect
    }
    try context.database.write { [updated] in
      // The point may have been pruned meanwhile: then there is nothing to note.
      guard try CatalogPoint.find($0, cluster: source.cluster, volume: source.volume, point: point.point) != nil else {
        return
      }
      try updated.insert($0)
    }
    try context.repairs.review(point.cluster, in: context.database)
    if !result.matchesSeal {
      context.metrics.mismatch(.target, segments: damaged.count)
      context.events.post(
        ObjectReference(kind: "RecoveryPoint", namespace: "", name: point.point.description, uid: ""), warning: true,
        "PointDamaged", "point \(point.point) is not what was sealed: \(damaged.count) segments differ")
    }
    return updated.state
  }
}
