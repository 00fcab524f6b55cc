public import ReplModel

/// The clone of a damaged point in which just the damaged segments are written again, to take the point's place once it
/// is proven equal to the same seal. The damaged point is not written into. Used by one thread.
public final class RepairArea: Sendable {
  public let point: RecoveryPoint
  private let store: PointStore
  private let paths: PointPaths
  private let image: any StorageFile

  private var storage: any Storage { store.storage }

  /// Clones the damaged point. An earlier unfinished repair of it is discarded.
  public init(of point: RecoveryPoint, in store: PointStore) throws(ReplError) {
    self.point = point
    self.store = store
    paths = store.layout.repair(point.source, point.id)
    let storage = store.storage
    try store.discard(paths.directory)
    try storage.makeDirectory(paths.directory)
    let damaged = try storage.open(point.paths.image, .read)
    image = try storage.clone(damaged, to: paths.image)
    try damaged.close()
    try image.truncate(to: point.record.seal.size)
    try StagingHeader.repair(point: point.id).write(to: paths.header, in: storage)
  }

  /// Writes bytes of the snapshot over damaged ones.
  public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ReplError) {
    let extent = Extent(offset: offset, length: UInt64(bytes.count))
    try check(extent)
    try image.write(bytes, at: offset)
  }

  /// Makes a range zeros.
  public func writeZeros(_ extent: Extent) throws(ReplError) {
    try check(extent)
    try image.punchHole(extent)
  }

  /// Reads the repaired image whole and, if it adds up to the point's seal, puts it in the place of the damaged one.
  /// The seal stays the same; the stamp, and the time of the proof, are new. Returns what the image adds up to if that
  /// is not the seal; the area is then discarded and the damaged point left as it is.
  ///
  /// - Parameter now: by this node's clock.
  public func finish(key: FingerprintKey, now: Timestamp, pace: Pace = { (_) in }) throws(ReplError) -> BlockSum? {
    do throws(ReplError) {
      try image.synchronize()
      let sum = try rebuildTable(key, pace)
      guard sum == point.record.seal.sum else {
        try discard()
        return sum
      }
      try image.close()
      try seal(now)
    } catch {
      try? store.discard(paths.directory)
      throw error
    }
    try store.finishRepair(of: point.id, source: point.source)
    return nil
  }

  /// Deletes the area; the point stays as it is.
  public func discard() throws(ReplError) {
    try? image.close()
    try store.discard(paths.directory)
  }

  private func check(_ extent: Extent) throws(ReplError) {
    let size = point.record.seal.size
    guard extent.length <= size, extent.offset <= size - extent.length else {
      throw ReplError(
        .invalid, subject: "recovery point \(point.id)", cause: "a chunk at \(extent) lies beyond its \(size) bytes")
    }
  }

  /// From the image alone: the old table may be what is damaged.
  private func rebuildTable(_ key: FingerprintKey, _ pace: Pace) throws(ReplError) -> BlockSum {
    let size = point.record.seal.size
    let table = try SegmentTable.create(paths.segments, volumeSize: size, keyID: key.id, in: storage)
    var editor = SegmentTableEditor(table)
    let sum = try FingerprintScan.sum(of: image, size: size, key: key, readsMedium: true, pace: pace) {
      (index, sum) throws(ReplError) in try editor.set(segment: index, sum)
    }
    try editor.flush()
    try table.close()
    return sum
  }

  private func seal(_ now: Timestamp) throws(ReplError) {
    let finisher = PointFinisher(paths: paths, storage: storage)
    var record = point.record
    record.stamp = try finisher.freeze()
    record.provenAt = now
    try finisher.writeSeal(record)
    try storage.removeFile(paths.header)
    try storage.synchronizeDirectory(paths.directory)
    try storage.synchronizeDirectory(store.layout.repair)
  }
}

extension PointStore {
  /// Finishes or undoes what a crash left of repairs: for start-up, before points are listed. Returns what could not be,
  /// and is left as it is; what has no name of a repair is none.
  @discardableResult
  public func finishRepairs() throws(ReplError) -> [SkippedEntry] {
    var skipped: [SkippedEntry] = []
    for name in try storage.listIfPresent(layout.repair) where Pool.isRepair(name) {
      let parts = name.split(separator: "~").map(String.init)
      let paths = PointPaths(directory: layout.repair + "/" + name)
      skipped.attempt(paths.directory) { () throws(ReplError) in
        guard let volume = VolumeID(parts[1]), let point = PointID(parts[2]) else { return }
        let source = try SourceVolume(cluster: parts[0], volume: volume)
        guard try isSealed(paths, point) else { return try discard(paths.directory) }
        try finishRepair(of: point, source: source)
      }
    }
    return skipped
  }

  /// Two renames with the damaged point in the trash between them: a crash leaves a sealed repair, which
  /// ``finishRepairs()`` finds and puts in place.
  func finishRepair(of point: PointID, source: SourceVolume) throws(ReplError) {
    let repaired = layout.repair(source, point)
    let place = layout.point(source, point)
    let grave = layout.trash + "/damaged~\(source.directoryName)~\(point)"
    if try storage.exists(place.directory) {
      try storage.removeTree(grave)
      try storage.rename(place.directory, to: grave)
    }
    try storage.rename(repaired.directory, to: place.directory)
    try storage.synchronizeDirectory(layout.points(of: source))
    try storage.synchronizeDirectory(layout.repair)
    try storage.synchronizeDirectory(layout.trash)
    try storage.removeTree(grave)
  }

  private func isSealed(_ paths: PointPaths, _ point: PointID) throws(ReplError) -> Bool {
    do throws(ReplError) {
      return try PointRecord.read(paths.seal, in: storage).seal.point == point
    } catch  where error.kind == .notFound || error.kind == .damaged {
      return false
    } catch { throw error }
  }
}
