public import ReplModel

extension PointStore {
  /// Clones a point ahead of time, so that the next session or a promotion begins without the cost of cloning. Replaces
  /// an older ready clone of the volume. Durable on return.
  public func prepareReadyClone(of point: RecoveryPoint) throws(ReplError) {
    let paths = layout.ready(point.source)
    guard try readyClone(for: point.source) != Ready(of: point) else { return }
    try discard(paths.directory)
    try storage.makeDirectory(paths.directory)
    do throws(ReplError) {
      try clone(point, to: paths.image)
      try StagingHeader.ready(base: point.id, of: point.record.stamp).write(to: paths.header, in: storage)
      try storage.synchronizeDirectory(layout.ready)
    } catch {
      try? discard(paths.directory)
      throw error
    }
  }

  /// What a ready clone is of. A point that was repaired is another image: a clone made before keeps the damage.
  public struct Ready: Hashable, Sendable {
    public let point: PointID
    public let image: ImageStamp

    public init(of point: RecoveryPoint) { self.init(point.id, point.record.stamp) }

    init(_ point: PointID, _ image: ImageStamp) {
      self.point = point
      self.image = image
    }
  }

  /// What the ready clone of a volume is of, or nil if there is no whole one.
  public func readyClone(for source: SourceVolume) throws(ReplError) -> Ready? {
    let paths = layout.ready(source)
    guard case .ready(let base, let image) = try StagingHeader.read(paths.header, in: storage),
      try storage.exists(paths.image)
    else { return nil }
    return Ready(base, image)
  }

  /// Moves the ready clone to `directory` if it is of that very image; returns whether it did. The directory then holds
  /// `image` and the header of a ready clone: a crash leaves something that is never mistaken for a staging area.
  func takeReadyClone(of base: RecoveryPoint, to directory: String) throws(ReplError) -> Bool {
    guard try readyClone(for: base.source) == Ready(of: base) else { return false }
    try storage.rename(layout.ready(base.source).directory, to: directory)
    try storage.synchronizeDirectory(layout.ready)
    return true
  }

  /// Takes the clean clone of a point for a promotion: moves its image to `path`, on the pool's own file system, where
  /// nothing is yet. Returns false if there is no ready clone of that very image. Durable on return.
  public func takeReadyImage(of point: RecoveryPoint, to path: String) throws(ReplError) -> Bool {
    guard try readyClone(for: point.source) == Ready(of: point) else { return false }
    let paths = layout.ready(point.source)
    try storage.rename(paths.image, to: path)
    try storage.synchronizeDirectory(parentDirectory(of: path))
    try storage.synchronizeDirectory(paths.directory)
    try discard(paths.directory)
    return true
  }

  /// Gives the room of a volume's ready clone back.
  public func discardReadyClone(for source: SourceVolume) throws(ReplError) {
    try discard(layout.ready(source).directory)
  }
}
