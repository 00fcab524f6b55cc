import AgentService
import BlockDiff
import ReplModel
import WireProtocol

/// Takes and drops the snapshots of own volumes. A snapshot exists once its record is committed; files without a record
/// are swept at start-up, records whose files are gone lose their image.
struct SnapshotKeeper: Sendable {
  let context: SourceContext
  /// Twins of sealed points that stay pinned per volume and peer: the base, and one before it.
  static let pinned = 2
  /// How far a target may be ahead of what we know and be believed: nobody takes more snapshots than this between a copy of
  /// the state directory and its restoration.
  static let plausibleLead: UInt64 = 1 << 32

  /// Takes a snapshot of a volume for a peer, durable before it returns.
  ///
  /// Its generation is counted first: whoever reads the volume's next generation knows that the snapshots with this or a
  /// later one are taken after that moment. A failure leaves a gap.
  func take(_ volume: VolumeRecord, peer: String, acceptShrink: Bool) throws(ReplError) -> SnapshotRecord {
    let point: PointID = context.random.identifier()
    let generation = try context.database.write { try VolumeRecord.countGeneration($0, volume) }
    guard let entry = volume.pool.flatMap({ context.pools.entry(named: $0) }) else {
      return try record(
        volume, peer: peer, point: point, generation,
        still(volume, point, generation: generation, acceptShrink: acceptShrink))
    }
    // What is dropped for room now may be what this snapshot needs.
    try? SpaceKeeper(context: context).relieve(entry)
    let pool = entry.layout
    let live = try context.live.open(volume)
    let paths = pool.snapshot(volume.id, point)
    let takenAt = context.clock.now()
    do throws(ReplError) {
      try VolumeRecognition(context: context).requireSame(volume, live)
      try entry.pool.requirePresent()
      try context.pools.requireRoomForSnapshot(pool)
      let result = try context.snapshotter.take(
        of: live, into: paths.directory, expectedSize: volume.size, acceptsShrinking: acceptShrink)
      try? live.close()
      try context.storage.setImmutable(paths.image, true)
      let taken = Taken(
        directory: paths.directory, hasImage: true, size: result.size, takenAt: takenAt,
        stall: Int64(clamping: result.stallNanoseconds))
      return try record(volume, peer: peer, point: point, generation, taken)
    } catch {
      try? live.close()
      try? context.storage.removeTree(paths.directory)
      throw error
    }
  }

  /// Drops a snapshot: the record first, so that a crash leaves a file without a record, which is swept.
  func drop(_ snapshot: SnapshotRecord) throws(ReplError) {
    try context.database.write { try SnapshotRecord.delete($0, snapshot.point) }
    do throws(ReplError) { try context.storage.removeTree(snapshot.directory) } catch {
      // Without its record it is nothing any more, and the next start tries again: no run fails for it.
      context.events.post(
        ObjectReference(kind: "Volume", namespace: "", name: snapshot.volume.description, uid: ""), warning: true,
        "FilesLeft", "snapshot \(snapshot.point) is dropped, and not all of its files could be removed: \(error)")
    }
    context.spaceLevels.forget(snapshot.point)
  }

  /// Lets go of sealed twins beyond the pinned ones, and of what never was sealed, except `keeping`.
  func prune(_ volume: VolumeID, peer: String, keeping: PointID?) throws(ReplError) {
    let all = try context.database.read { try SnapshotRecord.all($0, volume: volume, peer: peer) }
    let sealed = all.filter { $0.state == .sealed }
    let idle = all.filter { $0.state == .taken && $0.point != keeping }
    for snapshot in sealed.dropFirst(Self.pinned) + idle { try drop(snapshot) }
  }

  /// Removes what was of use only while the snapshot was shipped. What stays is removed by the next start.
  func removeWork(of snapshot: SnapshotRecord) {
    SnapshotSums.forget(in: snapshot.directory, context.storage)
    try? context.storage.removeFile(snapshot.planPath)
  }

  /// Gives the blocks of an image back whose record says already that it is gone; the segment sums stay.
  func removeImage(_ snapshot: SnapshotRecord) throws(ReplError) {
    try context.storage.setImmutable(snapshot.imagePath, false)
    try context.storage.removeFile(snapshot.imagePath)
    try context.storage.synchronizeDirectory(snapshot.directory)
  }

  /// Removes snapshot directories that no record names, and marks records whose image is gone. Returns what could not be
  /// looked at or removed, and is left alone.
  @discardableResult
  func sweep() throws(ReplError) -> [SkippedEntry] {
    var skipped: [SkippedEntry] = []
    var known: Set<String> = []
    for volume in try context.database.read({ try VolumeRecord.all($0) }) {
      for snapshot in try context.database.read({ try SnapshotRecord.all($0, volume: volume.id) }) {
        known.insert(snapshot.directory)
        do throws(ReplError) {
          try settle(snapshot, of: volume)
        } catch {
          skipped.append(SkippedEntry(snapshot.directory, error.cause))
        }
      }
    }
    let mayBeMore = try context.database.read { try UnreadableRows.mayNameSnapshots($0) }
    for directory in unknown(known, &skipped) {
      guard !mayBeMore else {
        skipped.append(.ofUnreadableRecord(directory))
        continue
      }
      skipped.attempt(directory) { () throws(ReplError) in try context.storage.removeTree(directory) }
    }
    return skipped
  }

  /// Brings the record of a snapshot to what its files are.
  private func settle(_ snapshot: SnapshotRecord, of volume: VolumeRecord) throws(ReplError) {
    // Without its sums a sealed twin is no base: contents are compared with the target's instead.
    if snapshot.state != .taken, try !context.storage.exists(snapshot.segmentsPath) {
      try forget(snapshot, of: volume)
      return try context.storage.removeTree(snapshot.directory)
    }
    if snapshot.state == .sealed { removeWork(of: snapshot) }
    let isThere = try context.storage.exists(snapshot.imagePath)
    if isThere, !snapshot.hasImage { try removeImage(snapshot) }
    guard snapshot.hasImage, !isThere else { return }
    _ = try context.database.write { try SnapshotRecord.loseImage($0, snapshot.point) }
  }

  /// Snapshot directories that are not among the known ones; only what has a name that the agent gives.
  private func unknown(_ known: Set<String>, _ skipped: inout [SkippedEntry]) -> [String] {
    var found: [String] = []
    for root in context.pools.layouts.map(\.snapshots) + [digestRoot] {
      for volume in context.storage.names(in: root, &skipped) where VolumeID(volume) != nil {
        for point in context.storage.names(in: "\(root)/\(volume)", &skipped) where PointID(point) != nil {
          let directory = "\(root)/\(volume)/\(point)"
          if !known.contains(directory) { found.append(directory) }
        }
      }
    }
    return found
  }

  /// Drops the record of a snapshot that is of no use without its files.
  ///
  /// - Parameter cause: what happened to them.
  func forget(
    _ snapshot: SnapshotRecord, of volume: VolumeRecord, because cause: String = "they are gone"
  ) throws(ReplError) {
    try context.database.write { try SnapshotRecord.delete($0, snapshot.point) }
    context.events.post(
      namespace: volume.namespace, volume: volume.name, warning: true, "BaseLost",
      "the files of snapshot \(snapshot.point) are of no use: \(cause); unless there is another twin, the next session "
        + "compares contents with the target")
  }

  /// A restored state directory has forgotten what came after the copy: generations go on behind those the target has,
  /// so that its newest point stays the newest.
  func catchUp(_ volume: VolumeRecord, with newest: UInt64) throws(ReplError) {
    guard newest >= volume.nextGeneration else { return }
    guard newest - volume.nextGeneration < Self.plausibleLead, newest < WireLimits.counter else {
      context.events.post(
        namespace: volume.namespace, volume: volume.name, warning: true, "ImplausibleGeneration",
        "the target says that it holds generation \(newest), and this agent is at \(volume.nextGeneration): that is not "
          + "believed")
      return
    }
    try context.database.write { try VolumeRecord.skipGenerations($0, volume.id, upTo: newest) }
    context.events.post(
      namespace: volume.namespace, volume: volume.name, warning: true, "HistoryWentBackwards",
      "the target holds generation \(newest), this agent knows of \(volume.nextGeneration - 1): its state was restored "
        + "from an older copy")
  }

  private struct Taken {
    var directory: String
    var hasImage: Bool
    var size: UInt64
    var takenAt: Timestamp
    var stall: Int64
  }

  private var digestRoot: String { context.configuration.stateDirectory + "/digests" }

  /// A volume that cannot be cloned has no image: its point in time is the session that reads it.
  private func still(
    _ volume: VolumeRecord, _ point: PointID, generation: UInt64, acceptShrink: Bool
  ) throws(ReplError) -> Taken {
    let live = try context.live.open(volume)
    defer { try? live.close() }
    try VolumeRecognition(context: context).requireSame(volume, live)
    let size = try live.size()
    guard size >= volume.size || acceptShrink else {
      throw ReplError(
        .refused, subject: volume.path, cause: "shrank from \(volume.size) to \(size) bytes",
        remedy: "if this was meant, accept the new size with `replctl create migration --accept-shrink`; else restore "
          + "the volume")
    }
    let directory = "\(digestRoot)/\(volume.id)/\(point)"
    try context.storage.makeDirectory(digestRoot)
    try context.storage.makeDirectory("\(digestRoot)/\(volume.id)")
    try context.storage.makeDirectory(directory)
    return Taken(directory: directory, hasImage: false, size: size, takenAt: context.clock.now(), stall: 0)
  }

  private func record(
    _ volume: VolumeRecord, peer: String, point: PointID, _ generation: UInt64, _ taken: Taken
  ) throws(ReplError) -> SnapshotRecord {
    try context.database.write { database in
      guard let current = try VolumeRecord.find(database, volume.id) else {
        throw ReplError(.notFound, subject: volume.label, cause: "was taken out of the agent")
      }
      let consistency: Consistency = !taken.hasImage && current.allowFuzzy ? .fuzzy : .volume
      let snapshot = SnapshotRecord(
        point: point, volume: volume.id, peer: peer, generation: generation, size: taken.size,
        takenAt: taken.takenAt, consistency: consistency, stallNanoseconds: taken.stall, directory: taken.directory,
        hasImage: taken.hasImage, state: .taken, seal: nil)
      try snapshot.insert(database)
      try VolumeRecord.setSize(database, volume.id, taken.size)
      return snapshot
    }
  }
}
