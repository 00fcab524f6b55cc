import AgentService
import BlockDiff
import GRDB
import ReplModel
import WireProtocol

/// A volume held for another cluster that is to go live, and the point it is made of.
struct WantedPromotion: Hashable, Sendable {
  var source: SourceVolume
  var point: PointID
}

/// The steps of a promotion after its intent, with which sessions of the volume are refused already.
enum PromotionStep: String, IntentStep {
  case mark
  case makeLive
  case settle

  var durable: String {
    switch self {
    case .mark: "file `promotion` beside the points: what `recover` needs"
    case .makeLive:
      "the live file: the ready clone renamed, or a clone made as `.promoting` and renamed; both directories"
    case .settle: "file `promotion` says live; one transaction: promotion live, point `promoted`, intent out"
    }
  }

  var crashLeaves: String {
    switch self {
    case .mark: "the file, no live volume"
    case .makeLive: "the live volume, and a record that says intended"
    case .settle: "nothing to be done"
    }
  }
}

/// Makes points of volumes held for another cluster the live files: an intent for the whole group, durable first, made
/// of steps that may be repeated. `docs/architecture.md` has the table.
struct Promotion: IntentWork {
  struct Intent: Hashable, Sendable {
    var record: PromotionRecord
    /// False for one that was recorded before: others of its group may be live.
    var isNew: Bool
  }

  let context: TargetContext

  /// Records the intents of a group in one transaction: from its commit on, sessions of the volumes are refused. The
  /// same points again are no error.
  func intend(_ group: [WantedPromotion]) throws(ReplError) -> [Intent] {
    let now = context.clock.now()
    var intents: [Intent] = []
    for wanted in group { intents.append(try plan(wanted.source, point: wanted.point)) }
    try context.database.write { [intents] database in
      try IntentRecord.restorePromotions(database, at: now)
      for intent in intents where intent.isNew {
        // What was found since it was checked counts.
        let held = try CatalogPoint.find(database, intent.record.source, intent.record.mark.point)
        try Self.requireTrusted(held, intent.record.mark.point)
        try Self.record(database, intent.record, at: now)
      }
    }
    return intents
  }

  /// The intent, and whether it is not recorded yet. Changes nothing: a group is checked as a whole before any of it
  /// goes live.
  func plan(_ source: SourceVolume, point: PointID) throws(ReplError) -> Intent {
    let (volume, known, held) = try context.database.read { database in
      (
        try Replica.find(database, cluster: source.cluster, volume: source.volume),
        try PromotionRecord.find(database, source),
        try CatalogPoint.find(database, cluster: source.cluster, volume: source.volume, point: point)
      )
    }
    guard let volume else {
      throw ReplError(.notFound, subject: "\(source)", cause: "is not held here")
    }
    if let known { return Intent(record: try again(known, point, volume), isNew: false) }
    _ = try Self.promoted(volume.authority, to: context.random.identifier(), from: point, volume.label)
    try requirePromotable(held, point, source)
    return Intent(record: PromotionRecord(source: source, mark: try mark(volume, source, point)), isNew: true)
  }

  /// Makes the live files and records that they are there. After a failure the intents are taken back if all are
  /// new and no live file was made; otherwise they stay, to be finished by ``IntentRunner``: a group goes live whole.
  ///
  /// - Throws: `.transient` when some of the group may be live; else what went wrong.
  func complete(_ group: [Intent]) throws(ReplError) {
    let records = try context.database.read { database in
      try group.compactMap { try IntentRecord.find(database, $0.record.source) }
    }
    guard let failed = try IntentRunner(context: context).finish(records, together: true).first else { return }
    if group.allSatisfy(\.isNew), (try? undo(group.map(\.record))) == true { throw failed.error }
    throw ReplError(
      .transient, subject: failed.error.subject, cause: "\(failed.error.cause); others of its group are live already",
      remedy: [failed.error.remedy, "it is tried again by itself"].compactMap(\.self).joined(separator: "; "))
  }

  // MARK: Steps

  func perform(_ step: PromotionStep, _ source: SourceVolume) throws(ReplError) {
    let record = try promotion(of: source)
    let held = try context.database.read { try CatalogPoint.find($0, source, record.mark.point) }
    guard let held else { throw Self.missing(record.mark.point) }
    let store = try context.store(pool: held.pool)
    switch step {
    case .mark: try store.write(record.mark, of: source)
    case .makeLive: try store.makeLive(try store.point(record.mark.point, of: source), at: record.mark.path)
    case .settle:
      var live = record.mark
      live.isLive = true
      try store.write(live, of: source)
    }
  }

  func record(_ step: PromotionStep, _ source: SourceVolume, _ database: Database) throws {
    guard step == .settle, let record = try PromotionRecord.find(database, source) else { return }
    try record.setLive(database)
    try CatalogPoint.setPromoted(database, source, record.mark.point)
  }

  func tell(_ source: SourceVolume) {
    guard let record = try? promotion(of: source) else { return }
    context.events.post(
      ObjectReference(kind: "RecoveryPoint", namespace: "", name: record.mark.point.description, uid: ""), "Promoted",
      "\(source) is live here at \(record.mark.path): made of point \(record.mark.point)")
  }

  /// Takes a promotion over whose file was found, for a database that may know a part of it: the record alone may be gone.
  /// Of one without a live file ``IntentRunner`` makes it at the next start.
  static func adopt(_ database: Database, _ promotion: PromotionRecord) throws {
    let source = promotion.source
    guard try PromotionRecord.find(database, source) == nil else { return }
    let known = try Replica.find(database, cluster: source.cluster, volume: source.volume)
    guard known?.role == .promoted else {
      return try record(database, promotion, at: promotion.mark.promotedAt)
    }
    try promotion.save(database)
  }

  private func promotion(of source: SourceVolume) throws(ReplError) -> PromotionRecord {
    guard let record = try context.database.read({ try PromotionRecord.find($0, source) }) else {
      throw ReplError(.damaged, subject: "\(source)", cause: "the record of its promotion is gone")
    }
    return record
  }

  /// Intent, promotion and authority in the caller's transaction.
  static func record(_ database: Database, _ promotion: PromotionRecord, at now: Timestamp) throws {
    let (source, mark) = (promotion.source, promotion.mark)
    guard let volume = try Replica.find(database, cluster: source.cluster, volume: source.volume) else {
      throw ReplError(.notFound, subject: "\(source)", cause: "is not held here")
    }
    let authority = try promoted(volume.authority, to: mark.branch.id, from: mark.point, volume.label)
    try promotion.save(database)
    try Replica.setAuthority(database, source, authority)
    guard !mark.isLive else { return }
    try IntentRecord(source: source, verb: .promote, step: PromotionStep.mark.rawValue, startedAt: now).insert(database)
  }

  // MARK: Checks

  private static func promoted(
    _ authority: Authority, to branch: BranchID, from point: PointID, _ label: String
  ) throws(ReplError) -> Authority {
    do throws(AuthorityRefusal) {
      return try authority.applying(.promoted(branch: branch, point: point))
    } catch {
      throw ReplError(.refused, subject: label, cause: "is \(authority.role.rawValue) at this site")
    }
  }

  private func again(
    _ known: PromotionRecord, _ point: PointID, _ volume: Replica
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
    _ volume: Replica, _ source: SourceVolume, _ point: PointID
  ) throws(ReplError) -> PromotionMark {
    let path = try context.store(pool: volume.pool).layout.live(source, namespace: volume.namespace, name: volume.name)
    guard try !context.storage.exists(path) else {
      throw ReplError(.exists, subject: path, cause: "is there already", remedy: "move the file away")
    }
    return PromotionMark(
      point: point, path: path, site: context.configuration.clusterID, promotedAt: context.clock.now(),
      branch: Branch(epoch: volume.branch.epoch + 1, id: context.random.identifier()), isLive: false)
  }

  /// Only while none of the group has a live file: what was made may be in use already. False if one has.
  private func undo(_ group: [PromotionRecord]) throws(ReplError) -> Bool {
    for record in group {
      if record.mark.isLive { return false }
      if try context.storage.exists(record.mark.path) { return false }
    }
    for record in group {
      let volume = try context.database.read {
        try Replica.find($0, cluster: record.source.cluster, volume: record.source.volume)
      }
      if let volume { try context.store(pool: volume.pool).removePromotionMark(of: record.source) }
    }
    try context.database.write { database in
      for record in group { try Self.withdraw(database, record) }
    }
    return true
  }

  private static func withdraw(_ database: Database, _ record: PromotionRecord) throws {
    let source = record.source
    try record.delete(database)
    try IntentRecord.find(database, source)?.delete(database)
    if let volume = try Replica.find(database, cluster: source.cluster, volume: source.volume) {
      try Replica.setAuthority(database, source, try volume.authority.applying(.withdrawn))
    }
  }
}
