import CStorageShims
import Glibc
public import ReplModel

/// The files of this machine. Holds no state; any thread may call.
public struct LinuxStorage: Storage {
  public init() {}

  public func open(_ path: String, _ mode: OpenMode) throws(ReplError) -> any StorageFile {
    try openFile(path, mode)
  }

  /// ``open(_:_:)`` with the concrete type.
  public func openFile(_ path: String, _ mode: OpenMode) throws(ReplError) -> LinuxFile {
    let (flags, what): (Int32, String) =
      switch mode {
      // A pipe in the place of a file must not hold anybody up.
      case .read: (O_RDONLY | O_NONBLOCK, "open")
      case .readWrite: (O_RDWR, "open for writing")
      case .createNew: (O_RDWR | O_CREAT | O_EXCL, "create")
      }
    let descriptor = try checkedErrno(.init(what, path)) {
      Glibc.open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
    }
    return LinuxFile(path: path, descriptor: descriptor)
  }

  public func clone(_ source: any StorageFile, to path: String) throws(ReplError) -> any StorageFile {
    guard let source = source as? LinuxFile else {
      throw ReplError(.bug, subject: path, cause: "the source of the clone is not a file of this machine")
    }
    return try Reflink.clone(source, to: path)
  }

  public func rename(_ path: String, to newPath: String) throws(ReplError) {
    try checked(.init("rename to \(newPath)", path)) { css_rename_no_replace(path, newPath) }
  }

  public func replace(_ path: String, with newPath: String) throws(ReplError) {
    try checkedErrno(.init("rename over \(newPath)", path)) { Glibc.rename(path, newPath) }
  }

  public func removeFile(_ path: String) throws(ReplError) {
    if unlink(path) == 0 || errno == ENOENT { return }
    throw SystemCallError.make(errno, .init("remove", path))
  }

  public func makeDirectory(_ path: String) throws(ReplError) {
    if mkdir(path, 0o700) == 0 { return }
    let code = errno
    var info = stat()
    if code == EEXIST, lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFDIR { return }
    throw SystemCallError.make(code, .init("make the directory", path))
  }

  public func list(_ path: String) throws(ReplError) -> [String] {
    guard let directory = opendir(path) else { throw SystemCallError.make(errno, .init("list", path)) }
    defer { closedir(directory) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
        field.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { throw SystemCallError.make(errno, .init("list", path)) }
    return names.sorted()
  }

  public func exists(_ path: String) throws(ReplError) -> Bool {
    var info = stat()
    if lstat(path, &info) == 0 { return true }
    if errno == ENOENT || errno == ENOTDIR { return false }
    throw SystemCallError.make(errno, .init("look for", path))
  }

  public func synchronizeDirectory(_ path: String) throws(ReplError) {
    let descriptor = try checkedErrno(.init("open the directory", path)) {
      Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }
    defer { _ = Glibc.close(descriptor) }
    try checkedErrno(.init("synchronize the directory", path)) { fsync(descriptor) }
  }

  public func device(of path: String) -> String? { MountTable.device(of: path) }

  public func synchronizeFileSystem(at path: String) throws(ReplError) {
    let descriptor = try checkedErrno(.init("open", path)) { Glibc.open(path, O_RDONLY | O_CLOEXEC) }
    defer { _ = close(descriptor) }
    try checked(.init("synchronize the file system of", path)) { css_sync_file_system(descriptor) }
  }

  public func lock(_ path: String) throws(ReplError) -> any StorageLock {
    let descriptor = try checkedErrno(.init("open the lock", path)) {
      Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    }
    let lock = LinuxLock(descriptor)
    guard flock(descriptor, LOCK_EX | LOCK_NB) != 0 else { return lock }
    let code = errno
    guard code == EWOULDBLOCK else { throw SystemCallError.make(code, .init("lock", path)) }
    throw ReplError(
      .transient, subject: path, cause: "is held by work that has not ended",
      remedy: "try again; if it stays so, look for a disk that does not answer")
  }

  public func space(at path: String) throws(ReplError) -> FileSystemSpace {
    var info = statvfs()
    try checkedErrno(.init("ask for the space", path)) { statvfs(path, &info) }
    let unit = UInt64(info.f_frsize)
    return FileSystemSpace(total: UInt64(info.f_blocks) * unit, available: UInt64(info.f_bavail) * unit)
  }
}

/// `flock`: it belongs to the open file, so that a second open of this process does not share it.
private final class LinuxLock: StorageLock {
  private let descriptor: Int32

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { _ = close(descriptor) }

  func release() { _ = flock(descriptor, LOCK_UN) }
}
