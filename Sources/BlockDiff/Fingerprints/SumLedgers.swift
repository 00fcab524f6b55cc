import ReplModel

/// The ledgers of ``SnapshotSums``: which segments have been summed, and which blocks need not travel. A value with one owner.
struct SumLedgers: Sendable {
  private(set) var summed: Ledger
  private(set) var equal: Ledger

  /// Makes empty ones, durably.
  static func create(
    in directory: String, of identity: SnapshotSums.Identity, _ storage: any Storage
  ) throws(ReplError) -> SumLedgers {
    try remove(from: directory, storage)
    let (digest, size) = (identity.digest, identity.size)
    let equal = try Ledger.create(equalPath(directory), binding: digest, volumeSize: size, in: storage)
    let summed = try Ledger.create(summedPath(directory), binding: digest, volumeSize: size, in: storage)
    try storage.synchronizeDirectory(directory)
    return SumLedgers(summed: summed, equal: equal)
  }

  static func open(
    in directory: String, of identity: SnapshotSums.Identity, _ storage: any Storage
  ) throws(ReplError) -> SumLedgers {
    let (digest, size) = (identity.digest, identity.size)
    return SumLedgers(
      summed: try Ledger.open(summedPath(directory), binding: digest, volumeSize: size, in: storage),
      equal: try Ledger.open(equalPath(directory), binding: digest, volumeSize: size, in: storage))
  }

  /// Removes them durably, if there are any.
  static func remove(from directory: String, _ storage: any Storage) throws(ReplError) {
    var wasThere = false
    for path in [summedPath(directory), equalPath(directory)] where try storage.exists(path) {
      try storage.removeFile(path)
      wasThere = true
    }
    if wasThere { try storage.synchronizeDirectory(directory) }
  }

  /// What is equal first: a segment that is recorded as summed vouches for that too.
  mutating func append(summed segments: ExtentSet, equal blocks: ExtentSet) throws(ReplError) {
    try equal.append(blocks)
    try summed.append(segments)
  }

  private static func summedPath(_ directory: String) -> String { directory + "/summed" }
  private static func equalPath(_ directory: String) -> String { directory + "/equal" }
}
