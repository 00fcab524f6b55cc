import CStorageShims
import Glibc
import ReplModel

/// Turns the numbers of failed system calls into ``ReplError``s that say what to do.
enum SystemCallError {
  /// What a failed call was about.
  struct Context {
    /// The file.
    var path: String
    /// What was tried, as in `cannot <operation>`.
    var operation: String
    /// Where in the file, for data.
    var range: Extent?
    init(_ operation: String, _ path: String, _ range: Extent? = nil) {
      self.operation = operation
      self.path = path
      self.range = range
    }
  }

  /// `code` is a positive errno value.
  static func make(_ code: Int32, _ context: Context) -> ReplError {
    let place = context.range.map { " \($0.length) bytes at offset \($0.offset)" } ?? ""
    let cause = "cannot \(context.operation)\(place): \(text(code))" + missingRoom(code, context)
    return ReplError(kind(code), subject: context.path, cause: cause, remedy: remedy(code))
  }

  /// The C library's words for an errno value.
  static func text(_ code: Int32) -> String { String(cString: css_error_text(code)) }

  private static func kind(_ code: Int32) -> ReplError.Kind {
    switch code {
    case ENOENT: .notFound
    case EEXIST: .exists
    case ENOSPC, EDQUOT: .noSpace
    case EACCES, EPERM, EROFS, EBUSY, ETXTBSY, EOPNOTSUPP, EXDEV, EAGAIN: .refused
    case ENOTDIR, EISDIR, ELOOP, ENAMETOOLONG, EINVAL, EFBIG: .invalid
    case EMFILE, ENFILE, ENOMEM: .transient
    default: .io
    }
  }

  private static func remedy(_ code: Int32) -> String? {
    switch code {
    case ENOSPC: "free space on this file system or make it larger"
    case EDQUOT: "raise the quota of the agent's user on this file system"
    case EACCES, EPERM: "run the agent as root, or give it the capabilities of the systemd unit"
    case EROFS: "mount the file system read-write; check the kernel log for the error that made it read-only"
    case EXDEV: "keep the volume and the pool on one file system, in one btrfs subvolume"
    case EIO: "check the device and the kernel log"
    case EMFILE, ENFILE: "raise the limit of open files (LimitNOFILE in the systemd unit)"
    case ELOOP: "name the file itself, not a symbolic link"
    default: nil
    }
  }

  /// For a full file system: how much was wanted and how much there is.
  private static func missingRoom(_ code: Int32, _ context: Context) -> String {
    guard code == ENOSPC else { return "" }
    var info = statvfs()
    guard statvfs(parentDirectory(of: context.path), &info) == 0 else { return "" }
    let available = UInt64(info.f_bavail) * UInt64(info.f_frsize)
    let wanted = context.range?.length ?? 0
    let missing = wanted > available ? ", \(wanted - available) bytes are missing" : ""
    return "; \(available) bytes are available\(missing)"
  }
}

/// Runs a call that returns -errno, again while it is interrupted; throws what it reports.
@discardableResult
func checked<Value: SignedInteger>(
  _ context: @autoclosure () -> SystemCallError.Context, _ call: () -> Value
) throws(ReplError) -> Value {
  while true {
    let value = call()
    if value >= 0 { return value }
    let code = Int32(-value)
    if code != EINTR { throw SystemCallError.make(code, context()) }
  }
}

/// Runs a C library call that returns -1 and sets errno, again while it is interrupted; throws what it reports.
@discardableResult
func checkedErrno<Value: SignedInteger>(
  _ context: @autoclosure () -> SystemCallError.Context, _ call: () -> Value
) throws(ReplError) -> Value {
  try checked(context()) {
    let value = call()
    return value < 0 ? -Value(errno) : value
  }
}
