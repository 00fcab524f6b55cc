public import ReplModel

extension PointStore {
  /// The sealed staging area of a volume that is not yet a point: `prepared`, to be rolled forward or removed. Nil if
  /// there is none; a staging area without a whole seal is none.
  public func preparedPoint(of source: SourceVolume) throws(ReplError) -> PointRecord? {
    let paths = layout.staging(source)
    do throws(ReplError) {
      let record = try PointRecord.read(paths.seal, in: storage)
      return record.source == source ? record : nil
    } catch  where [.notFound, .damaged, .io].contains(error.kind) {
      return nil
    } catch { throw error }
  }

  /// Every volume with a prepared staging area, for start-up; one that cannot be looked at is none.
  public func preparedPoints() throws(ReplError) -> [PointRecord] {
    var records: [PointRecord] = []
    for name in try storage.listIfPresent(layout.staging) {
      guard let source = SourceVolume(directoryName: name) else { continue }
      if let record = try? preparedPoint(of: source) { records.append(record) }
    }
    return records
  }

  /// Every volume of which something is staged, whole or not.
  public func stagedSources() throws(ReplError) -> [SourceVolume] {
    try storage.listIfPresent(layout.staging).compactMap(SourceVolume.init(directoryName:))
  }

  /// Makes the prepared staging area of a volume a point: one rename, durable on return. Calling it again, after a
  /// crash too, ends in the same.
  @discardableResult
  public func publish(_ point: PointID, of source: SourceVolume) throws(ReplError) -> RecoveryPoint {
    let staging = layout.staging(source)
    try storage.makeDurableDirectories(layout.points(of: source), below: layout.root)
    if try preparedPoint(of: source)?.seal.point == point {
      // A crash after the seal was written and before this: these two are of no more use.
      try storage.removeFile(staging.ledger)
      try storage.removeFile(staging.header)
      try storage.synchronizeDirectory(staging.directory)
      try storage.rename(staging.directory, to: layout.point(source, point).directory)
    }
    try storage.synchronizeDirectory(layout.points(of: source))
    try storage.synchronizeDirectory(layout.staging)
    return try self.point(point, of: source)
  }

  /// Deletes the staging area of a volume, prepared or not; `transient` while somebody has it open.
  public func discardStaging(of source: SourceVolume) throws(ReplError) {
    guard try storage.exists(layout.staging(source).directory) else { return }
    let lock = try lockStaging(of: source)
    defer { lock.release() }
    try discard(layout.staging(source).directory)
  }

  /// One owner at a time may open, make or discard the staging area of a volume.
  func lockStaging(of source: SourceVolume) throws(ReplError) -> any StorageLock {
    try storage.lock(layout.stagingLock(source))
  }

  /// Whether the point that a prepared staging area was cloned from is still that image; true for a full copy. What is
  /// staged on an image that was repaired since, or whose seal cannot be read, may hold the damage.
  public func isBaseUnchanged(ofPrepared source: SourceVolume) throws(ReplError) -> Bool {
    guard case .staging(let identity, let image) = try StagingHeader.read(layout.staging(source).header, in: storage)
    else { return try preparedPoint(of: source)?.seal.base == nil }
    guard let base = identity.base else { return true }
    do throws(ReplError) {
      return try point(base, of: source).record.stamp == image
    } catch  where [.notFound, .damaged, .io].contains(error.kind) {
      return false
    } catch { throw error }
  }
}
