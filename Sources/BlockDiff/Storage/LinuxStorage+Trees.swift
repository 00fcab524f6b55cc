import CStorageShims
import Glibc
public import ReplModel

extension LinuxStorage {
  public func removeTree(_ path: String) throws(ReplError) {
    var info = stat()
    guard lstat(path, &info) == 0 else {
      if errno == ENOENT { return }
      throw SystemCallError.make(errno, .init("look for", path))
    }
    guard info.st_mode & S_IFMT == S_IFDIR else { return try removeEvenImmutable(path) }
    for name in try list(path) { try removeTree(path + "/" + name) }
    if rmdir(path) == 0 || errno == ENOENT { return }
    throw SystemCallError.make(errno, .init("remove the directory", path))
  }

  public func setImmutable(_ path: String, _ immutable: Bool) throws(ReplError) {
    let file = try openFile(path, .read)
    var flags: UInt32 = 0
    try checked(.init("read the inode flags", path)) { css_inode_flags(file.descriptor, &flags) }
    guard (flags & CSS_IMMUTABLE_FLAG != 0) != immutable else { return try file.close() }
    if immutable { try checkedErrno(.init("set the mode", path)) { fchmod(file.descriptor, 0o400) } }
    try checked(.init(immutable ? "make immutable" : "make mutable", path)) {
      css_set_inode_flags(file.descriptor, flags ^ CSS_IMMUTABLE_FLAG)
    }
    try file.close()
  }

  private func removeEvenImmutable(_ path: String) throws(ReplError) {
    if unlink(path) == 0 || errno == ENOENT { return }
    guard errno == EPERM else { throw SystemCallError.make(errno, .init("remove", path)) }
    try setImmutable(path, false)
    try removeFile(path)
  }
}
