import BlockDiff
import ReplModel

/// Sees to it that what lies at a volume's path is the volume: at the beginning of a session, before a snapshot is taken or
/// a byte is read, and at its end, before anything is sealed.
struct VolumeRecognition: Sendable {
  let context: SourceContext

  /// Segments that are looked at where nothing but the contents tells.
  private static let samples: UInt64 = 16

  /// For the beginning. A file that replaced another one on the same file system, or came with its pool to another disk, is
  /// the volume with other contents, which an event says; a volume that was taken in before identities were kept gets one
  /// if it holds what was sealed last.
  ///
  /// - Throws: `refused` for another disk or file system, but that of a pool which was moved.
  func requireSame(_ volume: VolumeRecord, _ file: any StorageFile) throws(ReplError) {
    guard let now = try context.live.identity(of: file) else { return }
    guard let recorded = try current(volume).identity else {
      // A file was always found by its path; a device's may be another disk's by now.
      if now.isDevice { try requireSealedContents(volume, file) }
      return try context.database.write { try VolumeRecord.setIdentity($0, volume.id, now) }
    }
    switch recorded.verdict(now) {
    case .same: return
    case .unknown: try requireSealedContents(volume, file)
    case .replaced: try takeReplacement(volume, recorded, now)
    case .changed:
      guard try hasMovedWithPool(volume, now) else { throw refusal(volume, recorded, now) }
      try takeMoved(volume, file, recorded, now)
    }
  }

  /// Whether the volume lies in its pool, and the pool, which its superblock tells from any other, on that other file
  /// system too: it was moved to another disk.
  private func hasMovedWithPool(_ volume: VolumeRecord, _ now: DurableIdentity) throws(ReplError) -> Bool {
    guard let entry = context.pools.entries.first(where: { $0.name == volume.pool }), !now.isDevice,
      volume.path.hasPrefix(entry.layout.pool + "/"), let fileSystem = now[.fileSystem]
    else { return false }
    try entry.pool.requirePresent()
    let superblock = try context.storage.open(entry.layout.superblock, .read)
    defer { try? superblock.close() }
    return try context.live.identity(of: superblock)?[.fileSystem] == fileSystem
  }

  /// For the end of a session that read the live volume: its path still leads to what was read, which is not to be sealed
  /// otherwise.
  ///
  /// - Parameter table: the sums of what was read.
  func requireStillSame(_ volume: VolumeRecord, _ table: SegmentTable) throws(ReplError) {
    let file = try context.live.open(volume)
    defer { try? file.close() }
    guard let now = try context.live.identity(of: file), let recorded = try current(volume).identity else { return }
    switch recorded.verdict(now) {
    case .same: return
    case .unknown: try requireKnownContents(volume, file, table)
    case .replaced, .changed: throw refusal(volume, recorded, now)
    }
  }

  private func current(_ volume: VolumeRecord) throws(ReplError) -> VolumeRecord {
    guard let current = try context.database.read({ try VolumeRecord.find($0, volume.id) }) else {
      throw ReplError(.notFound, subject: volume.label, cause: "was taken out of the agent")
    }
    return current
  }

  private func takeReplacement(
    _ volume: VolumeRecord, _ recorded: DurableIdentity, _ now: DurableIdentity
  ) throws(ReplError) {
    try context.database.write { try VolumeRecord.setIdentity($0, volume.id, now) }
    context.events.post(
      namespace: volume.namespace, volume: volume.name, warning: true, "VolumeReplaced",
      "\(volume.path) is another file than before (\(now.summary), was \(recorded.summary)): it is taken for new contents of "
        + "the volume; if it is another volume, take this one out and import it")
  }

  /// A file of a pool that was copied to another disk is the volume if it holds something of what was sealed last.
  private func takeMoved(
    _ volume: VolumeRecord, _ file: any StorageFile, _ recorded: DurableIdentity, _ now: DurableIdentity
  ) throws(ReplError) {
    try requireSealedContents(volume, file)
    try context.database.write { try VolumeRecord.setIdentity($0, volume.id, now) }
    context.events.post(
      namespace: volume.namespace, volume: volume.name, warning: false, "VolumeMoved",
      "\(volume.path) is \(now.summary), and was \(recorded.summary): its pool was moved, and its contents are known")
  }

  private func refusal(_ volume: VolumeRecord, _ recorded: DurableIdentity, _ now: DurableIdentity) -> ReplError {
    ReplError(
      .refused, subject: volume.path,
      cause: "is now \(now.summary), and was \(recorded.summary) when it was \(volume.label)",
      remedy: "bring the right one back to this path; if this one is to be replicated, take \(volume.label) out with "
        + "`replctl volume delete` (its data and points stay) and import it again")
  }

  // MARK: Contents

  /// Refuses what has nothing in common with what was sealed last; without a seal everything may be the volume.
  private func requireSealedContents(_ volume: VolumeRecord, _ file: any StorageFile) throws(ReplError) {
    guard let table = try sealedTable(volume) else { return }
    defer { try? table.close() }
    try requireKnownContents(volume, file, table)
  }

  /// Refuses what has nothing in common with the table's sums. Ordinary writes leave some of the samples as they were.
  private func requireKnownContents(
    _ volume: VolumeRecord, _ file: any StorageFile, _ table: SegmentTable
  ) throws(ReplError) {
    guard let key = try context.database.read({ try LineageKeys.find($0, volume.lineage) }), key.id == table.keyID
    else {
      return
    }
    let size = try file.size()
    let buffer = AlignedBuffer(count: Int(segmentSize))
    var compared = 0
    for segment in try usedSegments(table) where segment * segmentSize < size {
      let start = segment * segmentSize
      let bytes = buffer.prefix(Int(min(segmentSize, min(size, table.volumeSize) - start)))
      guard try file.read(into: bytes, at: start) == bytes.count else { continue }
      let sum = FingerprintWalk(key: key).sum(of: UnsafeRawBufferPointer(bytes), at: start)
      if try sum == table.sum(ofSegment: segment) { return }
      compared += 1
    }
    guard compared > 0 else { return }
    throw ReplError(
      .refused, subject: volume.path,
      cause:
        "holds nothing of \(volume.label) as it was sealed last, in \(compared) segments compared, and nothing else "
        + "identifies it",
      remedy: "bring the right device back to this path; if this one is to be replicated, take the volume out with "
        + "`replctl volume delete` and import it again, by a name in /dev/disk/by-id or /dev/mapper")
  }

  /// Segments of the table that are not all zeros, spread over the volume.
  private func usedSegments(_ table: SegmentTable) throws(ReplError) -> [UInt64] {
    var found: [UInt64] = []
    for index in 0..<Self.samples {
      // In this order nothing overflows.
      let start = table.segmentCount / Self.samples * index + table.segmentCount % Self.samples * index / Self.samples
      guard start < table.segmentCount, let page = try table.nextUsedPage(from: start) else { break }
      let last = min(page.firstSegment + UInt64(SegmentPage.entryCount), table.segmentCount)
      let first = max(start, page.firstSegment)
      guard let used = (first..<max(first, last)).first(where: page.isUsed(segment:)), !found.contains(used) else {
        continue
      }
      found.append(used)
    }
    return found
  }

  /// Of the newest twin whose sums are at hand.
  private func sealedTable(_ volume: VolumeRecord) throws(ReplError) -> SegmentTable? {
    for twin in try context.database.read({ try SnapshotRecord.all($0, volume: volume.id) }) where twin.state == .sealed
    {
      do throws(ReplError) {
        return try SegmentTable.open(twin.segmentsPath, in: context.storage)
      } catch {
        guard [.notFound, .damaged].contains(error.kind) else { throw error }
      }
    }
    return nil
  }
}
