import AgentService
import BlockDiff
import ReplModel
import Threads

/// Gives room back to production (design section 5, "Space at the source"): below the low mark snapshots that were never
/// sent go, at the floor the images of pinned bases, whose sums stay. Each step is an event.
struct SpaceKeeper: Sendable {
  let context: SourceContext

  /// Looks at one pool, and makes room on it if it is below its marks.
  func relieve(_ entry: PoolSet.Entry) throws(ReplError) {
    let layout = entry.layout
    let marks = context.pools.watermarks
    let space = try context.storage.space(at: layout.pool)
    let level = marks.level(of: space)
    tell(entry, level, space)
    guard level < .ok else { return }
    let held = try snapshots(on: layout)
    let relief = SpaceRelief(
      unsent: try candidates(held.filter(isUnsent)), pinnedBases: try candidates(bases(held)))
    for step in relief.steps(for: space, marks: marks) {
      switch step {
      case .dropUnsent(let point):
        guard let item = held.first(where: { $0.snapshot.point == point }) else { continue }
        trying(item) { () throws(ReplError) in
          if try drop(item) { context.metrics.space(.dropUnsent, pool: entry.name) }
        }
      case .dropPinnedBaseKeepingSums(let point):
        // Images share blocks with each other: what the steps before gave back counts, not what was foreseen.
        guard marks.level(of: try context.storage.space(at: layout.pool)) == .floor else { return }
        guard let item = held.first(where: { $0.snapshot.point == point }) else { continue }
        trying(item) { () throws(ReplError) in
          if try dropImage(item) { context.metrics.space(.dropBase, pool: entry.name) }
        }
      case .stopSnapshots, .dropReleasedQuarantine: continue
      }
    }
  }

  /// One snapshot that fails keeps no other one from making room; it is told of once.
  private func trying(_ item: Held, _ body: () throws(ReplError) -> Void) {
    do throws(ReplError) { try body() } catch {
      context.metrics.storageError(error)
      guard context.spaceLevels.isFirstFailure(of: item.snapshot.point) else { return }
      post(
        item, "SpaceReliefSkipped", "snapshot \(item.snapshot.point) could not make room and was passed over: \(error)")
    }
  }

  private struct Held {
    var snapshot: SnapshotRecord
    var volume: VolumeRecord
    var isBusy: Bool
  }

  /// Newest first.
  private func snapshots(on layout: PoolLayout) throws(ReplError) -> [Held] {
    let prefix = layout.snapshots + "/"
    let all = try context.database.read { database in
      try VolumeRecord.all(database).map { ($0, try SnapshotRecord.all(database, volume: $0.id)) }
    }
    return all.flatMap { (volume, snapshots) in
      let isBusy = context.activity.isBusy(volume.id)
      return snapshots.filter { $0.hasImage && $0.directory.hasPrefix(prefix) }
        .map { Held(snapshot: $0, volume: volume, isBusy: isBusy) }
    }
  }

  /// A snapshot of a run under way is not dropped: it would be taken again at once.
  private func isUnsent(_ held: Held) -> Bool { held.snapshot.state == .taken && !held.isBusy }

  /// Bases of volumes that nobody works on, and only if there are none the others': their run may fail for it.
  private func bases(_ held: [Held]) -> [Held] {
    let sealed = held.filter { $0.snapshot.state == .sealed }
    let idle = sealed.filter { !$0.isBusy }
    return idle.isEmpty ? sealed : idle
  }

  /// One whose map cannot be read is of unknown size; one whose image is gone frees nothing, and is recorded as lost.
  private func candidates(_ held: [Held]) throws(ReplError) -> [SpaceCandidate] {
    var candidates: [SpaceCandidate] = []
    for item in held {
      do throws(ReplError) {
        let bytes = try exclusiveBytes(item.snapshot.imagePath)
        candidates.append(SpaceCandidate(point: item.snapshot.point, exclusiveBytes: bytes))
      } catch {
        guard error.kind == .notFound else {
          candidates.append(SpaceCandidate(point: item.snapshot.point))
          continue
        }
        guard try context.database.write({ try SnapshotRecord.loseImage($0, item.snapshot.point) }) else { continue }
        post(item, "BaseLost", "the image of snapshot \(item.snapshot.point) is gone: it is of no use as a base")
      }
    }
    return candidates
  }

  /// Bytes of a file that no other file shares.
  private func exclusiveBytes(_ path: String) throws(ReplError) -> UInt64 {
    let sharedFlag: UInt32 = 0x2000
    let image = try context.storage.open(path, .read)
    defer { try? image.close() }
    var (bytes, position): (UInt64, UInt64) = (0, 0)
    while let page = try nextPage(of: image, from: position) {
      for extent in page where extent.flags & sharedFlag == 0 { bytes += extent.logical.length }
      position = page.last?.logical.end ?? position
    }
    return bytes
  }

  private func nextPage(
    of image: any StorageFile, from position: UInt64
  ) throws(ReplError) -> [MappedExtent]? {
    let page = try image.extentMap(from: position, limit: 1024, sync: false)
    guard let last = page.last, last.logical.end > position else { return nil }
    return page
  }

  // MARK: Steps

  /// False when it is no longer what it was: a run has taken it up meanwhile.
  private func drop(_ item: Held) throws(ReplError) -> Bool {
    let point = item.snapshot.point
    guard try context.database.write({ try SnapshotRecord.deleteUnsent($0, point) }) else { return false }
    context.spaceLevels.forget(point)
    try context.storage.removeTree(item.snapshot.directory)
    post(item, "SnapshotDropped", "snapshot \(point) was dropped for lack of room: it had not been sent")
    return true
  }

  /// The record goes first: a crash leaves an image that no plan uses, and the next start finds it.
  private func dropImage(_ item: Held) throws(ReplError) -> Bool {
    let point = item.snapshot.point
    guard try context.database.write({ try SnapshotRecord.loseImage($0, point) }) else { return false }
    try SnapshotKeeper(context: context).removeImage(item.snapshot)
    context.spaceLevels.forget(point)
    post(
      item, "BaseDropped",
      "the image of base \(point) was dropped for lack of room; its sums are kept, the next migration compares them")
    return true
  }

  private func post(_ held: Held, _ reason: String, _ message: String) {
    context.events.post(
      namespace: held.volume.namespace, volume: held.volume.name, warning: true, reason, message)
  }

  private func tell(_ entry: PoolSet.Entry, _ level: SpaceLevel, _ space: FileSystemSpace) {
    let layout = entry.layout
    let before = context.spaceLevels.change(of: layout.pool, to: level)
    guard before != level else { return }
    if before == .ok { context.metrics.space(.stopSnapshots, pool: entry.name) }
    let what = level == .ok ? "snapshots are taken again" : "no snapshots are taken; what is not needed goes"
    context.events.post(
      ObjectReference(kind: "Pool", namespace: "", name: entry.name, uid: ""), warning: level < .ok,
      level == .ok ? "PoolHasRoom" : "PoolLow",
      "\(space.available) of \(space.total) bytes are free on pool \(layout.pool): \(what)")
  }
}

/// The level every pool was last seen at, so that only changes are told. Any thread may call.
final class SpaceLevels: Sendable {
  private let levels = Locked<[String: SpaceLevel]>([:])
  private let failed = Locked<Set<PointID>>([])

  /// Whether a snapshot fails to make room for the first time while this agent runs.
  func isFirstFailure(of point: PointID) -> Bool { failed.withLock { $0.insert(point).inserted } }

  /// A snapshot that is gone fails no more.
  func forget(_ point: PointID) { failed.withLock { _ = $0.remove(point) } }

  /// Notes the level and returns the one of last time; a pool never seen counts as one with room.
  func change(of pool: String, to level: SpaceLevel) -> SpaceLevel {
    levels.withLock { levels in
      defer { levels[pool] = level }
      return levels[pool] ?? .ok
    }
  }
}
