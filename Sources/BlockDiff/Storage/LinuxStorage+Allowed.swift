import CStorageShims
import Glibc
public import ReplModel

extension LinuxStorage {
  /// Opens a volume's file or block device that a person named, for reading.
  ///
  /// Symbolic links are followed (device names of LVM and by-id are such), but what they lead to must lie below one
  /// of `allowedPaths`, and the opened file is the very one that was checked. With `uncached` reads leave no pages
  /// behind that were not cached before.
  ///
  /// Errors: `notFound` for a missing file or a link that leads nowhere; `invalid` for a relative path, a directory
  /// and everything else that is neither a regular file nor a block device; `refused` outside of the allowed paths.
  public func openAllowed(
    _ path: String, allowedPaths: [String], exclusive: Bool = false, uncached: Bool = false
  ) throws(ReplError) -> LinuxFile {
    let (realPath, expected) = try checkAllowed(path, allowedPaths: allowedPaths)
    // O_EXCL without O_CREAT claims a block device; O_NONBLOCK keeps an open from waiting for another's lease.
    let flags = O_RDONLY | O_NONBLOCK | (exclusive && expected.isDevice ? O_EXCL : 0)
    let descriptor = try checked(.init("open", path)) { css_open_no_symlinks(realPath, flags) }
    let file = LinuxFile(path: path, descriptor: descriptor, uncached: uncached)
    let found = try file.status()
    guard found.st_dev == expected.device, found.st_ino == expected.inode else {
      throw ReplError(.transient, subject: path, cause: "was replaced while it was opened", remedy: "try again")
    }
    return file
  }

  /// The path without symbolic links of what `path` leads to, after the checks of
  /// ``openAllowed(_:allowedPaths:exclusive:uncached:)``.
  public func resolveAllowed(_ path: String, allowedPaths: [String]) throws(ReplError) -> String {
    try checkAllowed(path, allowedPaths: allowedPaths).realPath
  }

  private func checkAllowed(
    _ path: String, allowedPaths: [String]
  ) throws(ReplError) -> (realPath: String, identity: FileIdentity) {
    guard path.hasPrefix("/") else {
      throw ReplError(.invalid, subject: path, cause: "is not an absolute path", remedy: "begin it with /")
    }
    let descriptor = Glibc.open(path, CSS_O_PATH | O_CLOEXEC)
    guard descriptor >= 0 else { throw openError(errno, path) }
    defer { _ = Glibc.close(descriptor) }
    let realPath = try realPath(of: descriptor, path)
    try requireAllowed(realPath, path, allowedPaths)
    var info = stat()
    try checkedErrno(.init("ask for the status", path)) { fstat(descriptor, &info) }
    try requireVolumeKind(info, path)
    let isDevice = info.st_mode & S_IFMT == S_IFBLK
    return (realPath, FileIdentity(device: info.st_dev, inode: info.st_ino, isDevice: isDevice))
  }

  private struct FileIdentity {
    var device: dev_t
    var inode: ino_t
    var isDevice: Bool
  }

  private func openError(_ code: Int32, _ path: String) -> ReplError {
    guard code == ENOENT || code == ENOTDIR else { return SystemCallError.make(code, .init("open", path)) }
    var info = stat()
    let isLink = lstat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFLNK
    return ReplError(
      .notFound, subject: path,
      cause: isLink ? "is a symbolic link that leads nowhere" : "there is no such file or block device",
      remedy: "name an existing image file or block device")
  }

  private func realPath(of descriptor: Int32, _ path: String) throws(ReplError) -> String {
    guard let target = SystemFile.link("/proc/self/fd/\(descriptor)") else {
      throw SystemCallError.make(errno, .init("resolve", path))
    }
    return target
  }

  private func requireAllowed(_ realPath: String, _ path: String, _ allowedPaths: [String]) throws(ReplError) {
    let isAllowed = allowedPaths.contains { allowed in
      guard let root = resolvedDirectory(allowed) else { return false }
      return root == "/" || realPath == root || realPath.hasPrefix(root + "/")
    }
    guard !isAllowed else { return }
    let cause =
      realPath == path
      ? "lies outside of the allowed paths" : "leads to \(realPath), which lies outside of the allowed paths"
    let list = allowedPaths.isEmpty ? "none" : allowedPaths.joined(separator: ", ")
    throw ReplError(
      .refused, subject: path, cause: cause,
      remedy: "move the volume or add its directory to allowedPaths in the configuration (now: \(list))")
  }

  private func resolvedDirectory(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  private func requireVolumeKind(_ info: stat, _ path: String) throws(ReplError) {
    let kind: String
    switch info.st_mode & S_IFMT {
    case S_IFREG, S_IFBLK: return
    case S_IFDIR: kind = "a directory"
    case S_IFCHR: kind = "a character device"
    case S_IFIFO: kind = "a named pipe"
    case S_IFSOCK: kind = "a socket"
    default: kind = "of an unknown kind"
    }
    throw ReplError(
      .invalid, subject: path, cause: "is \(kind), not a volume", remedy: "name an image file or a block device")
  }
}
