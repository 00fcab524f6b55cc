public import ReplModel

extension StagingArea {
  /// Takes up the staging area of a volume if it has exactly this identity, else discards what is there and makes a
  /// new one: from the clone made ahead if that is of this very base, by cloning the base, or empty.
  ///
  /// Durable on return. Throws `notFound` or `damaged` if the base is not there or is not what was sealed, `exists` if
  /// the point is prepared already, and `transient` while somebody still has the area open: a session that hangs in the
  /// kernel keeps it.
  public static func open(
    _ identity: StagingIdentity, for source: SourceVolume, in store: PointStore, clock: ElapsedClock = .system
  ) throws(ReplError) -> StagingArea {
    guard (identity.base == nil) == (identity.kind == .full) else {
      throw ReplError(.bug, subject: "\(source)", cause: "a full session has no base, every other one has")
    }
    let lock = try store.lockStaging(of: source)
    let base = try identity.base.map { (id) throws(ReplError) in try store.point(id, of: source) }
    let maker = StagingMaker(
      identity: identity, source: source, store: store, clock: clock, base: base, lock: lock)
    if try store.preparedPoint(of: source)?.seal.point == identity.point {
      throw ReplError(
        .exists, subject: "point \(identity.point) of \(source)", cause: "is sealed already and not yet published")
    }
    if let resumed = try maker.resume() { return resumed }
    try store.discard(maker.paths.directory)
    return try maker.make()
  }
}

/// Opens or makes a staging area, step by step.
private struct StagingMaker {
  let identity: StagingIdentity
  let source: SourceVolume
  let store: PointStore
  let clock: ElapsedClock
  /// The base as it is now.
  let base: RecoveryPoint?
  let lock: any StorageLock
  var storage: any Storage { store.storage }
  var paths: PointPaths { store.layout.staging(source) }

  private var header: StagingHeader { .staging(identity, of: base?.record.stamp) }

  /// The area that is there, if it is for this very identity, cloned from the base as it is now, and whole.
  func resume() throws(ReplError) -> StagingArea? {
    guard try StagingHeader.read(paths.header, in: storage) == header else { return nil }
    do throws(ReplError) {
      // Before anything is touched: whoever writes here has the lock.
      let claim = try storage.open(paths.image, .read)
      try claim.lockExclusively()
      // A crash on the way to the seal may have left files immutable, or a seal of which nobody was told.
      try storage.removeTree(paths.seal)
      try storage.removeTree(paths.segments)
      try storage.setImmutable(paths.image, false)
      let ledger = try Ledger.open(
        paths.ledger, binding: identity.digest, volumeSize: identity.size, in: storage)
      let image = try storage.open(paths.image, .readWrite)
      try claim.close()
      guard try image.size() == identity.size else {
        try image.close()
        return nil
      }
      return try area(image, ledger, .resumed)
    } catch {
      // One whose files cannot be read is made anew.
      guard [.damaged, .notFound, .refused, .io].contains(error.kind) else { throw error }
      return nil
    }
  }

  func make() throws(ReplError) -> StagingArea {
    do throws(ReplError) {
      let (image, origin) = try makeImage()
      try image.truncate(to: identity.size)
      try image.synchronize()
      let ledger = try Ledger.create(
        paths.ledger, binding: identity.digest, volumeSize: identity.size, in: storage)
      // Last, because it vouches for the rest; syncs the directory too.
      try header.write(to: paths.header, in: storage)
      try storage.synchronizeDirectory(store.layout.staging)
      return try area(image, ledger, origin)
    } catch {
      try? store.discard(paths.directory)
      throw error
    }
  }

  private func makeImage() throws(ReplError) -> (any StorageFile, StagingArea.Origin) {
    guard let base else {
      try storage.makeDirectory(paths.directory)
      return (try storage.open(paths.image, .createNew), .empty)
    }
    if let difference = try store.checkStamp(base) {
      throw ReplError(
        .damaged, subject: "recovery point \(base.id)", cause: difference,
        remedy: "verify the point; until then it is not a base")
    }
    if try store.takeReadyClone(of: base, to: paths.directory) {
      return (try storage.open(paths.image, .readWrite), .readyClone)
    }
    try storage.makeDirectory(paths.directory)
    let sealed = try storage.open(base.paths.image, .read)
    let image = try storage.clone(sealed, to: paths.image)
    try sealed.close()
    return (image, .clone)
  }

  /// - Throws: `transient` while another area of this process or of another one has the image open.
  private func area(
    _ image: any StorageFile, _ ledger: Ledger, _ origin: StagingArea.Origin
  ) throws(ReplError) -> StagingArea {
    try image.lockExclusively()
    return StagingArea(
      identity: identity, source: source, origin: origin, store: store, image: image, ledger: ledger, clock: clock,
      lock: lock, baseImage: base?.record.stamp)
  }
}
