import BlockDiff
import ReplModel
import WireProtocol

/// Chooses what a session builds on: the newest point both sides hold, with the same id and the same seal; else a
/// point to compare with; else nothing, with the reason.
struct BaseChoice: Sendable {
  let context: TargetContext
  let store: PointStore
  let source: SourceVolume

  func choose(_ begin: BeginSession) throws(ReplError) -> BeginOutcome {
    if let held = try heldAlready(begin) { return held }
    if begin.kind == .full { return .full(reason: "the source asked for a full copy") }
    let points = try context.database.read {
      try CatalogPoint.all($0, cluster: source.cluster, volume: source.volume)
    }
    // The peer knows a point only after it recorded it: naming one as a candidate confirms it.
    for candidate in begin.candidates {
      guard let point = points.first(where: { $0.point == candidate.point }),
        point.state == .sealed || point.isOnlyDoubtful
      else { continue }
      if !point.confirmed {
        _ = try context.database.write {
          try CatalogPoint.confirm($0, cluster: source.cluster, point: candidate.point)
        }
      }
      guard point.seal.fingerprint == candidate.fingerprint else {
        context.events.post(
          namespace: begin.namespace, volume: begin.name, warning: true, "BaseMismatch",
          "point \(point.point) has another seal at the source: it is not used as a base")
        continue
      }
      if try isTrusted(point), try isIntact(point) { return .base(point.point) }
    }
    // Contents are read on both sides then, so a point that is only doubted by its source will do.
    for point in points.filter({ $0.state == .sealed || $0.isOnlyDoubtful }) + points.filter(isDoubtedOnlyByItsSource)
    where point.seal.lineage == begin.lineage {
      let isUsable = isDoubtedOnlyByItsSource(point) ? true : try isTrusted(point)
      if isUsable, try isIntact(point) { return .compareWith(point.point) }
    }
    return .full(reason: points.isEmpty ? "first copy of the volume" : "no intact point of the volume is held here")
  }

  /// A repair is for a point held here; one without damage needs none.
  func repair(_ begin: BeginSession) throws(ReplError) -> BeginOutcome {
    let found = try context.database.read {
      try CatalogPoint.find($0, cluster: source.cluster, volume: source.volume, point: begin.snapshot)
    }
    guard let point = found else {
      throw ReplError(.notFound, subject: "recovery point \(begin.snapshot)", cause: "is not held here")
    }
    guard point.seal.size == begin.size, point.seal.lineage == begin.lineage else {
      throw ReplError(
        .protocolViolation, subject: "recovery point \(begin.snapshot)", cause: "is of another size or lineage")
    }
    return point.damaged.isEmpty ? .alreadySealed(point.seal) : .base(point.point)
  }

  private func heldAlready(_ begin: BeginSession) throws(ReplError) -> BeginOutcome? {
    let found = try context.database.read { database in
      (
        try CatalogPoint.find(database, cluster: source.cluster, volume: source.volume, point: begin.snapshot),
        try PreparedRecord.find(database, cluster: source.cluster, volume: source.volume)
      )
    }
    if let point = found.0 { return .alreadySealed(point.seal) }
    guard let prepared = found.1 else {
      // Sealed, and never recorded: it is shipped again.
      if try store.preparedPoint(of: source) != nil { try store.discardStaging(of: source) }
      return nil
    }
    // A commit that failed half way leaves the files where they are to be.
    let isRenamed = (try? store.point(prepared.seal.point, of: source))?.record.seal == prepared.seal
    let isStaged = try store.preparedPoint(of: source)?.seal == prepared.seal
    if prepared.seal.point == begin.snapshot, prepared.seal.group == begin.group, isRenamed || isStaged {
      return .prepared(prepared.seal)
    }
    // The source has gone on to another snapshot: this one's group will never be committed.
    try context.database.write { try prepared.delete($0) }
    if isRenamed { try store.delete(prepared.seal.point, of: source) }
    try store.discardStaging(of: source)
    return nil
  }

  private func isDoubtedOnlyByItsSource(_ point: CatalogPoint) -> Bool {
    point.state == .suspect && point.doubt != nil && point.damaged.isEmpty && point.doubtful.isEmpty
      && point.suspicion == nil
  }

  /// Whether nothing is held against the point as it is now. Few doubtful segments are read at once: else the session
  /// would copy everything.
  private func isTrusted(_ point: CatalogPoint) throws(ReplError) -> Bool {
    let now = try context.database.read { try CatalogPoint.find($0, source, point.point) }
    guard let now else { return false }
    if now.state == .sealed { return true }
    do throws(ReplError) {
      return try DoubtReader(context: context).isClean(now)
    } catch {
      guard error.kind != .cancelled else { throw error }
      context.metrics.storageError(error)
      return false
    }
  }

  /// Whether nobody touched the point's image; what was touched is suspect from now on.
  private func isIntact(_ point: CatalogPoint) throws(ReplError) -> Bool {
    let difference: String?
    do throws(ReplError) {
      difference = try store.checkStamp(try store.point(point.point, of: source))
    } catch {
      let isUnreadable =
        error.kind == .io && context.pools.answers(around: store.layout.point(source, point.point).seal)
      guard [.notFound, .damaged].contains(error.kind) || isUnreadable else { throw error }
      difference = "\(error.subject): \(error.cause)"
    }
    guard let difference else { return true }
    try DamageBook(context: context).suspect(point.point, of: source, because: difference)
    return false
  }
}
