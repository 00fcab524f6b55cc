public import ReplModel

/// The recovery points of one pool. A value without state; any thread may call, as long as one owner at a time works
/// on one (source cluster, volume).
public struct PointStore: Sendable {
  public let layout: PoolLayout
  public let storage: any Storage

  public init(layout: PoolLayout, storage: any Storage) {
    self.layout = layout
    self.storage = storage
  }

  /// One point by its id; `notFound` if there is none, `damaged` if its seal cannot be read.
  public func point(_ id: PointID, of source: SourceVolume) throws(ReplError) -> RecoveryPoint {
    let paths = layout.point(source, id)
    let record: PointRecord
    do throws(ReplError) {
      record = try PointRecord.read(paths.seal, in: storage)
    } catch  where error.kind == .notFound {
      throw ReplError(.notFound, subject: "recovery point \(id)", cause: "is not in the pool at \(layout.pool)")
    } catch { throw error }
    guard record.seal.point == id, record.source == source else {
      throw ReplError(
        .damaged, subject: paths.seal, cause: "belongs to point \(record.seal.point) of \(record.source)")
    }
    return RecoveryPoint(record: record, paths: paths)
  }

  /// All points of a volume, by generation; what has no readable seal comes separately.
  public func points(
    of source: SourceVolume
  ) throws(ReplError) -> (sealed: [RecoveryPoint], damaged: [DamagedPoint]) {
    var sealed: [RecoveryPoint] = []
    var damaged: [DamagedPoint] = []
    for name in try storage.listIfPresent(layout.points(of: source)) {
      guard let id = PointID(name) else { continue }
      do throws(ReplError) {
        sealed.append(try point(id, of: source))
      } catch {
        damaged.append(DamagedPoint(id: id, paths: layout.point(source, id), error: error))
      }
    }
    sealed.sort { ($0.record.seal.generation, $0.id) < ($1.record.seal.generation, $1.id) }
    return (sealed, damaged)
  }

  /// Every volume that has a directory under `points`, for start-up and `recover`.
  ///
  /// - Parameter skipped: takes what cannot be listed.
  public func sources(_ skipped: inout [SkippedEntry]) throws(ReplError) -> [SourceVolume] {
    var sources: [SourceVolume] = []
    for cluster in try storage.listIfPresent(layout.points) where ClusterID.isValid(cluster) {
      // A file in the place of a directory is none of ours.
      for name in storage.names(in: layout.points + "/" + cluster, &skipped) {
        guard let volume = VolumeID(name) else { continue }
        sources.append(try SourceVolume(cluster: cluster, volume: volume))
      }
    }
    return sources
  }

  /// Compares the image's stamp with the one taken when it was sealed. What differs makes the point `suspect`: not a
  /// base, not promoted by default, until a full read proves it. Returns the difference in words, nil if there is none.
  public func checkStamp(_ point: RecoveryPoint) throws(ReplError) -> String? {
    let image: any StorageFile
    do throws(ReplError) {
      image = try storage.open(point.paths.image, .read)
    } catch  where error.kind == .notFound {
      return "its image is gone"
    } catch { throw error }
    let stamp = try image.stamp()
    try image.close()
    return point.record.stamp.difference(from: ImageStamp(stamp))
  }

  /// A writable clone of a point at `path`, durable on return. The point itself is not touched.
  @discardableResult
  public func clone(_ point: RecoveryPoint, to path: String) throws(ReplError) -> FileStamp {
    let image = try storage.open(point.paths.image, .read)
    let copy: any StorageFile
    do throws(ReplError) {
      copy = try storage.clone(image, to: path)
    } catch {
      try? image.close()
      throw error
    }
    try image.close()
    do throws(ReplError) {
      try copy.synchronize()
      try storage.synchronizeDirectory(parentDirectory(of: path))
      let stamp = try copy.stamp()
      try copy.close()
      return stamp
    } catch {
      try? copy.close()
      try? storage.removeFile(path)
      throw error
    }
  }

  /// Deletes a point: after return it is gone for good, and a crash in between leaves it whole or gone.
  public func delete(_ id: PointID, of source: SourceVolume) throws(ReplError) {
    try discard(layout.point(source, id).directory)
  }

  /// Moves a directory into the trash and removes it there; a missing one is no error.
  func discard(_ directory: String) throws(ReplError) {
    guard try storage.exists(directory) else { return }
    let name = directory.dropFirst(layout.root.count + 1).split(separator: "/").joined(separator: "~")
    let grave = layout.trash + "/" + name
    try storage.removeTree(grave)
    try storage.rename(directory, to: grave)
    try storage.synchronizeDirectory(parentDirectory(of: directory))
    try storage.synchronizeDirectory(layout.trash)
    try storage.removeTree(grave)
  }
}

extension Storage {
  /// ``list(_:)``, empty where there is no directory, or something else in its place.
  func listIfPresent(_ path: String) throws(ReplError) -> [String] {
    do throws(ReplError) {
      return try list(path)
    } catch  where error.kind == .notFound || error.kind == .invalid {
      return []
    } catch { throw error }
  }

  /// Makes the directories from below `root` down to `path` and syncs each one's parent, so that all of them last.
  func makeDurableDirectories(_ path: String, below root: String) throws(ReplError) {
    var current = root
    for name in path.dropFirst(root.count).split(separator: "/") {
      let parent = current
      current += "/" + name
      try makeDirectory(current)
      try synchronizeDirectory(parent)
    }
  }
}
