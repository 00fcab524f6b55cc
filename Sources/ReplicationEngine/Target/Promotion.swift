import AgentService
import BlockDiff
import ReplModel
import WireProtocol

/// A volume held for another cluster that is to go live, and the point it is made of.
struct WantedPromotion: Hashable, Sendable {
  var source: SourceVolume
  var point: PointID
}

/// Makes points of volumes held for another cluster the live files: an intent for the whole group, durable first, made
/// of steps that may be repeated. `docs/architecture.md` has the table.
struct Promotion: Sendable {
  struct Intent: Hashable, Sendable {
    var record: PromotionRecord
    /// False for one that was recorded before: others of its group may be live.
    var isNew: Bool
  }

  let context: TargetContext

  /// Records the intents of a group in one transaction: from its commit on, sessions of the volumes are refused. The
  /// same points again are no error.
  func intend(_ group: [WantedPromotion]) throws(ReplError) -> [Intent] {
    var intents: [Intent] = []
    for wanted in group { intents.append(try plan(wanted.source, point: wanted.point)) }
    try context.database.write { [intents] database in
      for intent in intents where intent.isNew {
        // What was found since it was checked counts.
        let held = try CatalogPoint.find(database, intent.record.source, intent.record.mark.point)
        try Self.requireTrusted(held, intent.record.mark.point)
        try intent.record.save(database)
        try TargetVolumeRecord.setRole(database, intent.record.source, .promoted)
      }
    }
    return intents
  }

  /// The intent, and whether it is not recorded yet. Changes nothing: a group is checked as a whole before any of it
  /// goes live.
  func plan(_ source: SourceVolume, point: PointID) throws(ReplError) -> Intent {
    let (volume, known, held) = try context.database.read { database in
      (
        try TargetVolumeRecord.find(database, cluster: source.cluster, volume: source.volume),
        try PromotionRecord.find(database, source),
        try CatalogPoint.find(database, cluster: source.cluster, volume: source.volume, point: point)
      )
    }
    guard let volume else {
      throw ReplError(.notFound, subject: "\(source)", cause: "is not held here")
    }
    if let known { return Intent(record: try again(known, point, volume), isNew: false) }
    guard volume.role == .target else {
      throw ReplError(.refused, subject: volume.label, cause: "is \(volume.role.rawValue) at this site")
    }
    try requirePromotable(held, point, source)
    return Intent(record: PromotionRecord(source: source, mark: try mark(volume, source, point)), isNew: true)
  }

  /// Makes the live files and records that they are there. After a failure the intents are taken back if all are
  /// new and no live file was made; otherwise they stay, to be finished by the next ``finishAll()``: a group goes live
  /// whole.
  ///
  /// - Throws: `.transient` when some of the group may be live; else what went wrong.
  func complete(_ group: [Intent]) throws(ReplError) {
    for intent in group where !intent.record.mark.isLive {
      do throws(ReplError) {
        try finish(intent.record)
      } catch {
        if group.allSatisfy(\.isNew), (try? undo(group.map(\.record))) == true { throw error }
        throw ReplError(
          .transient, subject: error.subject, cause: "\(error.cause); others of its group are live already",
          remedy: [error.remedy, "it is tried again by itself"].compactMap(\.self).joined(separator: "; "))
      }
    }
  }

  /// The steps after the intent, each of which may be repeated.
  func finish(_ record: PromotionRecord) throws(ReplError) {
    let held = try context.database.read {
      try CatalogPoint.find(
        $0, cluster: record.source.cluster, volume: record.source.volume, point: record.mark.point)
    }
    guard let held else { throw Self.missing(record.mark.point) }
    let store = try context.store(pool: held.pool)
    try store.write(record.mark, of: record.source)
    try store.makeLive(try store.point(record.mark.point, of: record.source), at: record.mark.path)
    var done = record
    done.mark.isLive = true
    try store.write(done.mark, of: record.source)
    try context.database.write { [done] database in
      try done.setLive(database)
      try CatalogPoint.setPromoted(database, record.source, record.mark.point)
    }
    context.events.post(
      ObjectReference(kind: "RecoveryPoint", namespace: "", name: record.mark.point.description, uid: ""), "Promoted",
      "\(record.source) is live here at \(record.mark.path): made of point \(record.mark.point)")
  }

  /// Finishes what a crash or a failure has left; returns what could not be finished.
  ///
  /// - Parameter inTurn: runs the steps of one with its volume's turn; at the start nobody else has one.
  func finishAll(
    inTurn: (SourceVolume, () throws(ReplError) -> Void) throws(ReplError) -> Void = {
      (_, finish) throws(ReplError) in try finish()
    }
  ) throws(ReplError) -> [String] {
    var left: [String] = []
    for record in try context.database.read({ try PromotionRecord.unfinished($0) }) {
      do throws(ReplError) {
        try inTurn(record.source) { () throws(ReplError) in try finish(record) }
      } catch {
        // One volume must not keep the others from their service.
        left.append("\(record.source): \(error)")
      }
    }
    return left
  }

  // MARK: Checks

  private func again(
    _ known: PromotionRecord, _ point: PointID, _ volume: TargetVolumeRecord
  ) throws(ReplError) -> PromotionRecord {
    guard known.mark.point == point else {
      throw ReplError(
        .refused, subject: volume.label, cause: "\(known.inUse), from point \(known.mark.point)",
        remedy: "replctl recovery-points clone makes a file of another point")
    }
    return known
  }

  private func requirePromotable(
    _ held: CatalogPoint?, _ point: PointID, _ source: SourceVolume
  ) throws(ReplError) {
    let held = try Self.requireTrusted(held, point)
    let store = try context.store(pool: held.pool)
    if let difference = try store.checkStamp(try store.point(point, of: source)) {
      throw ReplError(
        .refused, subject: "recovery point \(point)", cause: "is suspect: \(difference)", remedy: Self.remedy)
    }
  }

  private static let remedy = "verify it by reading, or promote another point"

  @discardableResult
  private static func requireTrusted(_ held: CatalogPoint?, _ point: PointID) throws(ReplError) -> CatalogPoint {
    guard let held else { throw missing(point) }
    guard held.state == .sealed, held.isTrusted else {
      throw ReplError(
        .refused, subject: "recovery point \(point)",
        cause: held.damaged.isEmpty ? "is \(held.state.name)" : "is damaged", remedy: remedy)
    }
    return held
  }

  private static func missing(_ point: PointID) -> ReplError {
    ReplError(.notFound, subject: "recovery point \(point)", cause: "is not held here")
  }

  private func mark(
    _ volume: TargetVolumeRecord, _ source: SourceVolume, _ point: PointID
  ) throws(ReplError) -> PromotionMark {
    let path = try context.store(pool: volume.pool).layout.live(source, namespace: volume.namespace, name: volume.name)
    guard try !context.storage.exists(path) else {
      throw ReplError(.exists, subject: path, cause: "is there already", remedy: "move the file away")
    }
    return PromotionMark(
      point: point, path: path, site: context.configuration.clusterID, promotedAt: context.clock.now(),
      branch: Branch(epoch: volume.branch.epoch + 1, id: .random()), isLive: false)
  }

  /// Only while none of the group has a live file: what was made may be in use already. False if one has.
  private func undo(_ group: [PromotionRecord]) throws(ReplError) -> Bool {
    for record in group {
      if record.mark.isLive { return false }
      if try context.storage.exists(record.mark.path) { return false }
    }
    for record in group {
      let volume = try context.database.read {
        try TargetVolumeRecord.find($0, cluster: record.source.cluster, volume: record.source.volume)
      }
      if let volume { try context.store(pool: volume.pool).removePromotionMark(of: record.source) }
    }
    try context.database.write { database in
      for record in group {
        try record.delete(database)
        try TargetVolumeRecord.setRole(database, record.source, .target)
      }
    }
    return true
  }
}
