public import ReplModel

extension StagingArea {
  /// Takes up the staging area of a volume if it has exactly this identity, else discards what is there and makes a
  /// new one: from the clone made ahead if that is of this very base, by cloning the base, or empty.
  ///
  /// Durable on return. Throws `notFound` or `damaged` if the base is not there or is not what was sealed, and `exists`
  /// if the point is prepared already.
  public static func open(
    _ identity: StagingIdentity, for source: SourceVolume, in store: PointStore, clock: ElapsedClock = .system
  ) throws(ReplError) -> StagingArea {
    guard (identity.base == nil) == (identity.kind == .full) else {
      throw ReplError(.bug, subject: "\(source)", cause: "a full session has no base, every other one has")
    }
    let maker = StagingMaker(identity: identity, source: source, store: store, clock: clock)
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
  var storage: any Storage { store.storage }
  var paths: PointPaths { store.layout.staging(source) }

  /// The area that is there, if it is for this very identity and whole.
  func resume() throws(ReplError) -> StagingArea? {
    guard try StagingHeader.read(paths.header, in: storage) == .staging(identity) else { return nil }
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
      try StagingHeader.staging(identity).write(to: paths.header, in: storage)
      try storage.synchronizeDirectory(store.layout.staging)
      return try area(image, ledger, origin)
    } catch {
      try? store.discard(paths.directory)
      throw error
    }
  }

  private func makeImage() throws(ReplError) -> (any StorageFile, StagingArea.Origin) {
    guard let id = identity.base else {
      try storage.makeDirectory(paths.directory)
      return (try storage.open(paths.image, .createNew), .empty)
    }
    let base = try store.point(id, of: source)
    if let difference = try store.checkStamp(base) {
      throw ReplError(
        .damaged, subject: "recovery point \(id)", cause: difference,
        remedy: "verify the point; until then it is not a base")
    }
    if try store.takeReadyClone(of: id, for: source, to: paths.directory) {
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
      identity: identity, source: source, origin: origin, store: store, image: image, ledger: ledger, clock: clock)
  }
}
