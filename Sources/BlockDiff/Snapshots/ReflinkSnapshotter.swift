public import ReplModel

/// A snapshot that has been taken and is durable.
public struct SnapshotResult: Hashable, Sendable {
  /// The image.
  public var path: String
  /// Bytes.
  public var size: UInt64
  /// How long writes to the live file had to wait: the time of the FICLONE call.
  public var stallNanoseconds: UInt64
  /// Runs in the image's extent map, where the storage can count them; the stall grows with it.
  public var extentCount: UInt64?

  public init(path: String, size: UInt64, stallNanoseconds: UInt64, extentCount: UInt64? = nil) {
    self.path = path
    self.size = size
    self.stallNanoseconds = stallNanoseconds
    self.extentCount = extentCount
  }
}

/// Files that can say more of their own clone than ``StorageFile`` asks.
public protocol CloneMeasuring: StorageFile {
  /// Nanoseconds that the sharing of blocks took when this file was made as a clone, else nil.
  var cloneNanoseconds: UInt64? { get }
  /// Runs in the extent map.
  func extentCount() throws(ReplError) -> UInt64
}

/// Takes snapshots as reflink clones. Holds no state; any thread may call, and blocks for the length of the clone.
public struct ReflinkSnapshotter: Sendable {
  private let storage: any Storage
  private let flusher: any VolumeFlusher
  /// Nanoseconds of a monotonic clock.
  private let clock: @Sendable () -> UInt64

  public init(
    storage: any Storage, flusher: any VolumeFlusher = LinuxVolumeFlusher(),
    clock: @escaping @Sendable () -> UInt64 = { MonotonicClock.now() }
  ) {
    self.storage = storage
    self.flusher = flusher
    self.clock = clock
  }

  /// Makes `<directory>/image` a point-in-time image of `live`. When this returns, the image is there after a power
  /// cut; when it throws, nothing is left of it. `directory` and the one it lies in are made where missing.
  ///
  /// Errors: `refused` on a file system without exact extent maps, and for a volume that became smaller than
  /// `expectedSize` unless `acceptsShrinking`; `exists` if there is an image already.
  public func take(
    of live: any StorageFile, into directory: String, expectedSize: UInt64? = nil, acceptsShrinking: Bool = false
  ) throws(ReplError) -> SnapshotResult {
    try requireExactMaps(live)
    let smallest = acceptsShrinking ? 0 : expectedSize ?? 0
    try requireSize(try live.size(), atLeast: smallest, of: live.path)
    try flusher.flush(live)
    try makeDurableDirectory(parentDirectory(of: directory))
    try makeDurableDirectory(directory)
    let path = directory + "/image"
    let start = clock()
    let image = try storage.clone(live, to: path)
    let elapsed = clock() - start
    do throws(ReplError) {
      return try finish(image, directory, smallest, elapsed)
    } catch {
      try? image.close()
      try? storage.removeFile(path)
      try? storage.synchronizeDirectory(directory)
      throw error
    }
  }

  private func finish(
    _ image: any StorageFile, _ directory: String, _ smallest: UInt64, _ elapsed: UInt64
  ) throws(ReplError) -> SnapshotResult {
    // The size that counts is that of the image: the live file may have changed since it was looked at.
    let size = try image.size()
    try requireSize(size, atLeast: smallest, of: image.path)
    try image.synchronize()
    try storage.synchronizeDirectory(directory)
    let measured = image as? any CloneMeasuring
    let result = SnapshotResult(
      path: image.path, size: size, stallNanoseconds: measured?.cloneNanoseconds ?? elapsed,
      extentCount: try measured?.extentCount())
    try image.close()
    return result
  }

  private func makeDurableDirectory(_ path: String) throws(ReplError) {
    // Synchronized even if it was there: a kill may have come between making and synchronizing.
    try storage.makeDirectory(path)
    try storage.synchronizeDirectory(parentDirectory(of: path))
  }

  private func requireExactMaps(_ live: any StorageFile) throws(ReplError) {
    guard case .other(let magic) = try live.fileSystem() else { return }
    throw ReplError(
      .refused, subject: live.path,
      cause: "its file system (magic 0x\(String(magic, radix: 16))) is neither XFS nor btrfs, so it cannot be cloned",
      remedy: "move the volume to a pool on XFS or btrfs, or let it use the digest source")
  }

  private func requireSize(_ size: UInt64, atLeast smallest: UInt64, of path: String) throws(ReplError) {
    guard size < smallest else { return }
    throw ReplError(
      .refused, subject: path, cause: "shrank from \(smallest) to \(size) bytes",
      remedy: "if this was meant, accept the new size with `replctl create migration --accept-shrink`; else restore "
        + "the volume")
  }
}
