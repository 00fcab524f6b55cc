import CStorageShims
import Glibc
public import ReplModel
import Synchronization

/// An open file or block device of this machine. Any thread may call; `close` may not overlap any other call.
public final class LinuxFile: StorageFile, CloneMeasuring {
  public let path: String
  /// Owned: closed by ``close()`` or when the object goes.
  let descriptor: Int32
  /// Nanoseconds that FICLONE took when ``LinuxStorage/clone(_:to:)`` made this file, else nil.
  public let cloneNanoseconds: UInt64?
  private let isOpen = Atomic<Bool>(true)
  /// Whether reads may use RWF_DONTCACHE; turned off where the file system does not know it.
  private let readsUncached: Atomic<Bool>

  /// Takes over `descriptor`. With `uncached` reads leave no pages behind that were not cached before: for live
  /// volumes, whose cache belongs to production.
  init(path: String, descriptor: Int32, uncached: Bool = false, cloneNanoseconds: UInt64? = nil) {
    self.path = path
    self.descriptor = descriptor
    self.cloneNanoseconds = cloneNanoseconds
    readsUncached = Atomic(uncached)
  }

  deinit {
    if isOpen.load(ordering: .acquiring) { _ = Glibc.close(descriptor) }
  }

  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ReplError) -> Int {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let position = offset + UInt64(done)
      let count = try checked(.init("read", path, Extent(offset: position, length: UInt64(rest.count)))) {
        readOnce(rest, position)
      }
      if count == 0 { break }
      done += count
    }
    return done
  }

  public func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(ReplError) {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeRawBufferPointer(rebasing: buffer[done...])
      let position = offset + UInt64(done)
      let range = Extent(offset: position, length: UInt64(rest.count))
      done += try checkedErrno(.init("write", path, range)) {
        pwrite(descriptor, rest.baseAddress, rest.count, off_t(clamping: position))
      }
    }
  }

  public func punchHole(_ extent: Extent) throws(ReplError) {
    guard !extent.isEmpty else { return }
    try checked(.init("punch a hole of", path, extent)) {
      css_punch_hole(descriptor, extent.offset, extent.length)
    }
  }

  public func truncate(to size: UInt64) throws(ReplError) {
    try checkedErrno(.init("set the size to \(size) bytes", path)) { ftruncate(descriptor, off_t(clamping: size)) }
  }

  public func synchronize() throws(ReplError) {
    try checkedErrno(.init("synchronize", path)) { fsync(descriptor) }
  }

  public func synchronizeData() throws(ReplError) {
    try checkedErrno(.init("synchronize the data", path)) { fdatasync(descriptor) }
  }

  public func stamp() throws(ReplError) -> FileStamp {
    let info = try status()
    var generation: UInt32 = 0
    if css_inode_generation(descriptor, &generation) != 0 { generation = 0 }
    return FileStamp(
      device: UInt64(info.st_dev), inode: UInt64(info.st_ino), generation: generation, size: try size(info),
      modified: Timestamp(info.st_mtim), changed: Timestamp(info.st_ctim))
  }

  public func size() throws(ReplError) -> UInt64 { try size(try status()) }

  public func fileSystem() throws(ReplError) -> FileSystemKind {
    var magic: UInt64 = 0
    try checked(.init("ask for the file system", path)) { css_file_system_magic(descriptor, &magic) }
    return FileSystemKind(magic: magic)
  }

  public func dropCache(_ extent: Extent) {
    _ = posix_fadvise(descriptor, off_t(clamping: extent.offset), off_t(clamping: extent.length), POSIX_FADV_DONTNEED)
  }

  public func extentMap(from offset: UInt64, limit: Int, sync: Bool) throws(ReplError) -> [MappedExtent] {
    var raw = [css_extent](repeating: css_extent(), count: limit)
    let count = try checked(.init("read the extent map from offset \(offset)", path)) {
      css_extent_map(descriptor, offset, UInt32(limit), sync, &raw)
    }
    return raw.prefix(Int(count)).map {
      MappedExtent(
        logical: Extent(offset: $0.logical, length: $0.length), physical: $0.physical, flags: $0.flags)
    }
  }

  public func extentCount() throws(ReplError) -> UInt64 {
    var count: UInt64 = 0
    try checked(.init("count the extents of", path)) { css_extent_count(descriptor, &count) }
    return count
  }

  public func nextData(from offset: UInt64) throws(ReplError) -> Extent? {
    let info = try status()
    let size = try size(info)
    guard offset < size else { return nil }
    // A block device has no holes that the kernel would tell of.
    if info.st_mode & S_IFMT == S_IFBLK { return Extent(from: offset, to: size) }
    let start = css_seek_data(descriptor, offset)
    if start == -Int64(ENXIO) { return nil }
    let data = try checked(.init("find data from offset \(offset)", path)) { start }
    let end = try checked(.init("find the hole after offset \(data)", path)) {
      css_seek_hole(descriptor, UInt64(data))
    }
    return Extent(from: UInt64(data), to: min(UInt64(end), size))
  }

  public func lockExclusively() throws(ReplError) {
    // A child process that has not called exec yet may still hold the lock of a descriptor that is closed here.
    let isTaken = try Self.persist { () throws(ReplError) in
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
      let code = errno
      guard code == EWOULDBLOCK || code == EINTR else { throw SystemCallError.make(code, .init("lock", path)) }
      return false
    }
    guard !isTaken else { return }
    throw ReplError(
      .transient, subject: path, cause: "is being written by another session", remedy: "try again when it has ended")
  }

  public func requireNoWriter() throws(ReplError) {
    // A read lease is granted only while nobody has the file open for writing.
    let isGranted = try Self.persist { () throws(ReplError) in
      let status = css_take_read_lease(descriptor)
      if status == 0 { return true }
      guard status == -EAGAIN || status == -EINTR else {
        throw SystemCallError.make(-status, .init("look for writers of", path))
      }
      return false
    }
    guard isGranted else {
      throw ReplError(
        .refused, subject: path, cause: "is open for writing: it cannot be sealed",
        remedy: "find the process with fuser, and end it")
    }
    _ = css_release_lease(descriptor)
  }

  /// Tries for up to a second.
  private static func persist(_ body: () throws(ReplError) -> Bool) throws(ReplError) -> Bool {
    for _ in 0..<50 {
      if try body() { return true }
      usleep(20_000)
    }
    return false
  }

  public func close() throws(ReplError) {
    guard isOpen.exchange(false, ordering: .acquiringAndReleasing) else { return }
    // Not retried when interrupted: the descriptor is gone either way.
    if Glibc.close(descriptor) != 0, errno != EINTR {
      throw SystemCallError.make(errno, .init("close", path))
    }
  }

  /// Raw `fstat`.
  func status() throws(ReplError) -> stat {
    var info = stat()
    try checkedErrno(.init("ask for the status", path)) { fstat(descriptor, &info) }
    return info
  }

  private func size(_ info: stat) throws(ReplError) -> UInt64 {
    guard info.st_mode & S_IFMT == S_IFBLK else { return UInt64(info.st_size) }
    var bytes: UInt64 = 0
    try checked(.init("ask for the size of the device", path)) { css_device_size(descriptor, &bytes) }
    return bytes
  }

  private func readOnce(_ buffer: UnsafeMutableRawBufferPointer, _ offset: UInt64) -> Int {
    if readsUncached.load(ordering: .relaxed), let start = buffer.baseAddress {
      let count = css_read_uncached(descriptor, start, buffer.count, offset)
      if count != -Int(EOPNOTSUPP) { return count }
      readsUncached.store(false, ordering: .relaxed)
      _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_NOREUSE)
    }
    let count = pread(descriptor, buffer.baseAddress, buffer.count, off_t(clamping: offset))
    return count < 0 ? -Int(errno) : count
  }
}

extension Timestamp {
  init(_ time: timespec) { self.init(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)) }
}

extension FileSystemKind {
  /// By the magic number of `fstatfs`.
  init(magic: UInt64) {
    switch magic {
    case 0x5846_5342: self = .xfs
    case 0x9123_683e: self = .btrfs
    default: self = .other(magic: magic)
    }
  }
}
