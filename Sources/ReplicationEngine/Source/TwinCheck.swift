import BlockDiff
import ReplModel

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

  private func hasSums(_ twin: SnapshotRecord) throws(ReplError) -> Bool {
    do throws(ReplError) {
      try SegmentTable.open(twin.segmentsPath, in: context.storage).close()
      return true
    } catch {
      guard [.notFound, .damaged].contains(error.kind) else { throw error }
      return false
    }
  }

  /// Why the image is no twin any more; nil when it is there in its size.
  private func imageLoss(_ twin: SnapshotRecord) throws(ReplError) -> String? {
    let size: UInt64
    do throws(ReplError) {
      let image = try context.storage.open(twin.imagePath, .read)
      defer { try? image.close() }
      size = try image.size()
    } catch {
      guard error.kind == .notFound else { throw error }
      return "the image of snapshot \(twin.point) is gone"
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
