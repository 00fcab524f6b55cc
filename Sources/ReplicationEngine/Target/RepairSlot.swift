import BlockDiff
import ReplModel
import Threads

/// The repair area of one session: safe against an end that comes while a chunk is being written. Any thread may call.
///
/// Holds the point's claim on the board from beginning to end, so that nobody else rewrites the same point.
final class RepairSlot: Sendable {
  private let label: String
  private let point: RecoveryPoint
  private let context: TargetContext
  private let area: Turn<RepairArea?>

  /// Clones the damaged point.
  ///
  /// - Throws: `transient` while another repair of the same point is under way.
  init(of point: RecoveryPoint, in store: PointStore, context: TargetContext, label: String) throws(ReplError) {
    guard context.repairs.claim(point.id) else {
      throw ReplError(
        .transient, subject: label, cause: "point \(point.id) is being repaired already", remedy: "try again later")
    }
    do throws(ReplError) {
      area = Turn(try RepairArea(of: point, in: store))
    } catch {
      context.repairs.release(point.id)
      throw error
    }
    self.label = label
    self.point = point
    self.context = context
  }

  func write(_ raw: UnsafeRawBufferPointer, at offset: UInt64) throws(ReplError) {
    try area.take { (area) throws(ReplError) in try Self.open(area, label).write(raw, at: offset) }
  }

  func writeZeros(_ extent: Extent) throws(ReplError) {
    try area.take { (area) throws(ReplError) in try Self.open(area, label).writeZeros(extent) }
  }

  /// Reads the image whole and puts it in the place of the damaged one if it adds up to the seal; returns whether. What is
  /// held against the point ends with that, as far as it was before the reading; what is held against others does not.
  func finish(key: FingerprintKey, now: Timestamp, pace: @escaping Pace) throws(ReplError) -> Bool {
    guard let area = take() else { throw Self.ended(label) }
    defer { context.repairs.release(point.id) }
    let (source, id) = (point.source, point.id)
    let seen = try context.database.read { try CatalogPoint.find($0, source, id) }
    guard try area.finish(key: key, now: now, pace: pace) == nil else { return false }
    guard let seen else { return true }
    let isKept = try context.database.write { database in
      try CatalogPoint.noteWholeReading(database, seen, damaged: SegmentSet(), isRenewed: true, at: now)
      return try CatalogPoint.find(database, source, id) != nil
    }
    // Retention has deleted it meanwhile.
    if !isKept { try context.store(pool: seen.pool).delete(id, of: source) }
    DamageBook(context: context).settle(source)
    try context.repairs.review(source.cluster, in: context.database)
    return true
  }

  /// Throws away what was written; the damaged point stays. Does nothing while ``finish(key:now:)`` is at work.
  func discard() {
    guard let area = take() else { return }
    try? area.discard()
    context.repairs.release(point.id)
  }

  private func take() -> RepairArea? {
    area.take { area in
      defer { area = nil }
      return area
    }
  }

  private static func open(_ area: RepairArea?, _ label: String) throws(ReplError) -> RepairArea {
    guard let area else { throw ended(label) }
    return area
  }

  private static func ended(_ label: String) -> ReplError {
    ReplError(.transient, subject: label, cause: "has ended", remedy: "begin it again")
  }
}
