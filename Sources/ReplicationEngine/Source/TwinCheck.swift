import BlockDiff
import ReplModel

/// The twin that a plan builds on, and who watches what is read of it.
struct BaseReading: Sendable {
  var twin: SnapshotRecord
  let image = ReadWitness()
  let sums = ReadWitness()
}

/// Looks whether the files of twins are what their records say, before a session or a verification relies on them. What
/// is lost is recorded at once, so that nothing fails of it twice.
struct TwinCheck: Sendable {
  let context: SourceContext

  /// - Returns: the twins that are left, without the image where only that is lost, and what was lost, as sentences.
  func run(
    _ twins: [SnapshotRecord], of volume: VolumeRecord
  ) throws(ReplError) -> (held: [SnapshotRecord], losses: [String]) {
    var held: [SnapshotRecord] = []
    var losses: [String] = []
    for twin in twins {
      guard try hasSums(twin) else {
        losses.append("the files of snapshot \(twin.point) are gone")
        try SnapshotKeeper(context: context).forget(twin, of: volume)
        continue
      }
      guard twin.hasImage, let loss = try imageLoss(twin) else {
        held.append(twin)
        continue
      }
      losses.append(loss)
      try loseImage(twin, of: volume, loss)
      var rest = twin
      rest.hasImage = false
      held.append(rest)
    }
    return (held, losses)
  }

  /// Gives up what could not be read of a twin while a session relied on it: its image, or with its sums all of it.
  ///
  /// - Returns: what is lost, as a sentence; nil if nothing failed of the twin, or all of its file system does.
  func giveUp(_ reading: BaseReading, of volume: VolumeRecord) throws(ReplError) -> String? {
    let twin = reading.twin
    guard let failure = reading.sums.failure ?? reading.image.failure,
      context.pools.answers(around: twin.directory)
    else { return nil }
    let cause = "\(failure.error.subject): \(failure.error.cause)"
    guard reading.sums.failure == nil else {
      try SnapshotKeeper(context: context).forget(twin, of: volume, because: "\(cause)\(disk(twin))")
      return "the sums of snapshot \(twin.point) cannot be read (\(cause))"
    }
    let loss = "the image of snapshot \(twin.point) cannot be read (\(cause))"
    try loseImage(twin, of: volume, loss + disk(twin))
    return loss
  }

  private func disk(_ twin: SnapshotRecord) -> String {
    context.storage.device(of: twin.directory).map { ", on disk \($0)" } ?? ""
  }

  private func hasSums(_ twin: SnapshotRecord) throws(ReplError) -> Bool {
    do throws(ReplError) {
      try SegmentTable.open(twin.segmentsPath, in: context.storage).close()
      return true
    } catch {
      guard isLoss(error, of: twin) else { throw error }
      return false
    }
  }

  private func isLoss(_ error: ReplError, of twin: SnapshotRecord) -> Bool {
    [.notFound, .damaged].contains(error.kind)
      || (error.kind == .io && context.pools.answers(around: twin.directory))
  }

  /// Why the image is no twin any more; nil when it is there in its size.
  private func imageLoss(_ twin: SnapshotRecord) throws(ReplError) -> String? {
    let size: UInt64
    do throws(ReplError) {
      let image = try context.storage.open(twin.imagePath, .read)
      defer { try? image.close() }
      size = try image.size()
    } catch {
      guard isLoss(error, of: twin) else { throw error }
      return error.kind == .notFound
        ? "the image of snapshot \(twin.point) is gone"
        : "the image of snapshot \(twin.point) cannot be read (\(error.subject): \(error.cause))\(disk(twin))"
    }
    guard size != twin.size else { return nil }
    return "the image of snapshot \(twin.point) has \(size) bytes instead of \(twin.size)"
  }

  private func loseImage(_ twin: SnapshotRecord, of volume: VolumeRecord, _ loss: String) throws(ReplError) {
    let isNews = try context.database.write { try SnapshotRecord.loseImage($0, twin.point) }
    // Whoever took the record's image away meanwhile removes the file too.
    guard isNews else { return }
    // Nothing depends on it: the next start sweeps what is left.
    try? SnapshotKeeper(context: context).removeImage(twin)
    context.events.post(
      namespace: volume.namespace, volume: volume.name, warning: true, "BaseLost",
      "\(loss): the next session compares sums instead of extent maps")
  }
}
