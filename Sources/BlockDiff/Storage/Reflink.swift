import CStorageShims
import Glibc
import ReplModel

/// FICLONE with what must go with it.
enum Reflink {
  /// Makes `path` a new file that shares all blocks of `source`. On any error nothing is left at `path`, unless it
  /// was there before.
  static func clone(_ source: LinuxFile, to path: String) throws(ReplError) -> LinuxFile {
    let descriptor = try checkedErrno(.init("create", path)) {
      open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    }
    do throws(ReplError) {
      try takeOverNoCopyOnWrite(from: source, to: descriptor, path)
      let start = MonotonicClock.now()
      var status: Int32
      repeat { status = css_clone(descriptor, source.descriptor) } while status == -EINTR
      let stall = MonotonicClock.now() - start
      guard status == 0 else { throw cloneError(-status, source.path, path) }
      return LinuxFile(path: path, descriptor: descriptor, cloneNanoseconds: stall)
    } catch {
      _ = close(descriptor)
      _ = unlink(path)
      throw error
    }
  }

  /// btrfs shares blocks only between files of one kind; the flag can be set on an empty file only, and a new file
  /// may have inherited it from its directory.
  private static func takeOverNoCopyOnWrite(
    from source: LinuxFile, to target: Int32, _ path: String
  ) throws(ReplError) {
    var (wanted, present): (UInt32, UInt32) = (0, 0)
    guard css_inode_flags(source.descriptor, &wanted) == 0, css_inode_flags(target, &present) == 0 else { return }
    guard (wanted ^ present) & CSS_NOCOW_FLAG != 0 else { return }
    try checked(.init("take over the NOCOW flag", path)) {
      css_set_inode_flags(target, present ^ CSS_NOCOW_FLAG)
    }
  }

  private static func cloneError(_ code: Int32, _ source: String, _ path: String) -> ReplError {
    let cause = "cannot share the blocks of \(source): \(SystemCallError.text(code))"
    switch code {
    case EOPNOTSUPP, ENOTTY:
      return ReplError(
        .refused, subject: path, cause: cause,
        remedy: "use a pool on btrfs, or on XFS made with reflink=1; elsewhere only the digest source works")
    case EINVAL:
      return ReplError(
        .refused, subject: path, cause: cause,
        remedy: "the file system must be made with reflink support, and both files must be alike in +C (NOCOW)")
    case EXDEV:
      return ReplError(
        .refused, subject: path, cause: cause,
        remedy: "move the volume into a pool on the same file system, or let it use the digest source")
    case ETXTBSY:
      return ReplError(.refused, subject: path, cause: cause, remedy: "the file is in use as swap space: turn that off")
    default:
      return SystemCallError.make(code, .init("share the blocks of \(source)", path))
    }
  }
}
