public import ReplModel

/// What `stat` and the inode generation say of a file: when it differs, somebody touched the file.
public struct FileStamp: Hashable, Sendable {
  public var device: UInt64
  public var inode: UInt64
  /// FS_IOC_GETVERSION; 0 where the file system has none.
  public var generation: UInt32
  /// Bytes.
  public var size: UInt64
  public var modified: Timestamp
  public var changed: Timestamp

  public init(
    device: UInt64, inode: UInt64, generation: UInt32, size: UInt64, modified: Timestamp, changed: Timestamp
  ) {
    self.device = device
    self.inode = inode
    self.generation = generation
    self.size = size
    self.modified = modified
    self.changed = changed
  }
}

/// One run of a file's extent map as FIEMAP reports it.
public struct MappedExtent: Hashable, Sendable {
  /// Logical byte range in the file.
  public var logical: Extent
  /// Byte address on the device below; meaningless when `isUnknown`.
  public var physical: UInt64
  /// FIEMAP_EXTENT_* bits as the kernel gave them.
  public var flags: UInt32

  public init(logical: Extent, physical: UInt64, flags: UInt32) {
    self.logical = logical
    self.physical = physical
    self.flags = flags
  }
}

/// The file system that holds an opened file, by the magic number of `fstatfs`.
public enum FileSystemKind: Hashable, Sendable {
  case xfs
  case btrfs
  case other(magic: UInt64)
}

/// Room on a file system, in bytes.
public struct FileSystemSpace: Hashable, Sendable {
  public var total: UInt64
  public var available: UInt64
  public init(total: UInt64, available: UInt64) {
    self.total = total
    self.available = available
  }
}

public enum OpenMode: Sendable {
  /// O_RDONLY.
  case read
  /// O_RDWR of a file that exists.
  case readWrite
  /// O_RDWR | O_CREAT | O_EXCL, mode 0600.
  case createNew
}

/// An open file of a ``Storage``. Reads and writes at offsets may be called from several threads at once; `close` may
/// not overlap any other call. Every error is a ``ReplError`` that names the file and, for data, the offset.
public protocol StorageFile: AnyObject, Sendable {
  var path: String { get }
  /// Fills the buffer from `offset`; returns fewer bytes only at the end of the file. Never takes an error for zeros.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ReplError) -> Int
  /// Writes all of the buffer at `offset`.
  func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(ReplError)
  /// Makes a range read as zeros and gives its blocks back. Does not change the size.
  func punchHole(_ extent: Extent) throws(ReplError)
  /// Sets the size in bytes; growth reads as zeros.
  func truncate(to size: UInt64) throws(ReplError)
  /// fsync. After an error the descriptor must not be synced again: discard the file.
  func synchronize() throws(ReplError)
  /// fdatasync. After an error the descriptor must not be synced again: discard the file.
  func synchronizeData() throws(ReplError)
  func stamp() throws(ReplError) -> FileStamp
  /// Size in bytes, of a block device too.
  func size() throws(ReplError) -> UInt64
  func fileSystem() throws(ReplError) -> FileSystemKind
  /// Tells the kernel that the pages of a range are not wanted again (POSIX_FADV_DONTNEED). Never fails.
  func dropCache(_ extent: Extent)
  /// One page of the extent map from `offset` on (FIEMAP, with FIEMAP_FLAG_SYNC if `sync`), at most `limit` extents,
  /// ascending. Empty means nothing is mapped at or after `offset`.
  func extentMap(from offset: UInt64, limit: Int, sync: Bool) throws(ReplError) -> [MappedExtent]
  /// The next range that holds data at or after `offset` (SEEK_DATA, SEEK_HOLE), or nil when only holes follow.
  func nextData(from offset: UInt64) throws(ReplError) -> Extent?
  /// Takes the one exclusive lock of the file, held until it is closed; `transient` while another descriptor has it.
  func lockExclusively() throws(ReplError)
  /// Throws `refused` while the file is open for writing anywhere. For files opened to read.
  func requireNoWriter() throws(ReplError)
  func close() throws(ReplError)
}

/// The dozen operations on files that points, snapshots and pools are made with. The kernel's conformance is
/// ``LinuxStorage``; tests have an in-memory disk that loses what was not synced, and a fault-injecting wrapper.
public protocol Storage: Sendable {
  /// Opens without following a symbolic link in the last component.
  func open(_ path: String, _ mode: OpenMode) throws(ReplError) -> any StorageFile
  /// Makes `path` a new file that shares all blocks of `source` (FICLONE), taking over NOCOW; mode 0600.
  /// On any error the new file is removed again.
  func clone(_ source: any StorageFile, to path: String) throws(ReplError) -> any StorageFile
  /// Renames, replacing nothing (RENAME_NOREPLACE).
  func rename(_ path: String, to newPath: String) throws(ReplError)
  /// Renames over an existing file or nothing.
  func replace(_ path: String, with newPath: String) throws(ReplError)
  /// Removes a file; a missing one is no error.
  func removeFile(_ path: String) throws(ReplError)
  /// Removes a directory and all in it, clearing immutable flags; a missing one is no error.
  func removeTree(_ path: String) throws(ReplError)
  /// Makes one directory, mode 0700; an existing one is no error.
  func makeDirectory(_ path: String) throws(ReplError)
  /// Names in a directory, sorted, without `.` and `..`; a missing directory is an error of kind `notFound`.
  func list(_ path: String) throws(ReplError) -> [String]
  func exists(_ path: String) throws(ReplError) -> Bool
  /// fsync of a directory: names made, renamed or removed in it are durable afterwards.
  func synchronizeDirectory(_ path: String) throws(ReplError)
  /// syncfs of the file system that holds `path`: blocks of what was deleted are free afterwards.
  func synchronizeFileSystem(at path: String) throws(ReplError)
  /// Sets mode 0400 and FS_IMMUTABLE_FL, or clears the flag.
  func setImmutable(_ path: String, _ immutable: Bool) throws(ReplError)
  func space(at path: String) throws(ReplError) -> FileSystemSpace
  /// What people know the disk by that a path lies on, such as `/dev/sdb1`; nil where nobody can tell.
  func device(of path: String) -> String?
  /// Takes the lock file at `path`, making it if it is not there, without waiting; `transient` while somebody else holds
  /// it, in this process or another one.
  func lock(_ path: String) throws(ReplError) -> any StorageLock
}

/// A held lock: released by ``release()``, with the object, and with the process, however that ends.
public protocol StorageLock: AnyObject, Sendable {
  /// Releasing it again does nothing.
  func release()
}

extension Storage {
  public func device(of path: String) -> String? { nil }

  /// Reads a small file whole; one longer than `limit` bytes is an error.
  public func readFile(_ path: String, limit: Int) throws(ReplError) -> [UInt8] {
    let file = try open(path, .read)
    do throws(ReplError) {
      let size = try file.size()
      guard size <= UInt64(limit) else {
        throw ReplError(.damaged, subject: path, cause: "has \(size) bytes, expected at most \(limit)")
      }
      var bytes = [UInt8](repeating: 0, count: Int(size))
      let count = try bytes.withUnsafeMutableBufferPointer { (buffer) throws(ReplError) in
        try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
      }
      try file.close()
      return Array(bytes.prefix(count))
    } catch {
      try? file.close()
      throw error
    }
  }

  /// Writes a small file so that after return it is there whole after a crash, and before it the old one is:
  /// write to a temporary name, fsync, rename over, fsync of the directory.
  public func writeFileDurably(_ path: String, _ bytes: [UInt8]) throws(ReplError) {
    let temporary = path + ".new"
    try removeFile(temporary)
    let file = try open(temporary, .createNew)
    do throws(ReplError) {
      try bytes.withUnsafeBufferPointer { (buffer) throws(ReplError) in
        try file.write(UnsafeRawBufferPointer(buffer), at: 0)
      }
      try file.synchronize()
    } catch {
      try? file.close()
      try? removeFile(temporary)
      throw error
    }
    try file.close()
    try replace(temporary, with: path)
    try synchronizeDirectory(parentDirectory(of: path))
  }
}

/// The directory part of an absolute path.
public func parentDirectory(of path: String) -> String {
  guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
  return String(path[..<slash])
}
