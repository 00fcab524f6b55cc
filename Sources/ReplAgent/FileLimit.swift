import Glibc

/// The limit of open files: a watch through the loopback listener takes three, and the usual soft limit is 1024.
enum FileLimit {
  private static let wanted: rlim_t = 65_536

  /// Raises the soft limit as far as the hard one allows; what fails leaves it as it is.
  static func raise() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    let target = min(wanted, limit.rlim_max)
    guard limit.rlim_cur < target else { return }
    limit.rlim_cur = target
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}
