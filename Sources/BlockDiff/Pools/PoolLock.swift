import Glibc
public import ReplModel

/// Keeps a second agent out of a pool. Given from outside: the in-memory disk of tests has no flock.
public protocol PoolLocking: Sendable {
  /// Takes the lock file at `path`, making it if needed, without waiting; `refused` if somebody holds it.
  func lock(_ path: String) throws(ReplError) -> any PoolLockHandle
}

/// A held lock: released by ``release()``, with the object, and with the process, however that ends.
public protocol PoolLockHandle: AnyObject, Sendable {
  func release()
}

/// `flock` on the lock file, which holds the owner's process id for people.
public struct FileLocking: PoolLocking {
  public init() {}

  public func lock(_ path: String) throws(ReplError) -> any PoolLockHandle {
    let descriptor = try checkedErrno(.init("open the lock", path)) {
      open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    }
    let handle = FileLockHandle(descriptor: descriptor)
    if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      let code = errno
      guard code == EWOULDBLOCK else { throw SystemCallError.make(code, .init("lock", path)) }
      throw ReplError(
        .refused, subject: path, cause: "is held by another agent\(holder(descriptor))",
        remedy: "stop that agent, or give this one a pool of its own")
    }
    let text = Array("\(getpid())\n".utf8)
    _ = ftruncate(descriptor, 0)
    _ = pwrite(descriptor, text, text.count, 0)
    return handle
  }

  private func holder(_ descriptor: Int32) -> String {
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    let digits = bytes.prefix(max(count, 0)).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    return digits.isEmpty ? "" : " (process \(String(decoding: digits, as: UTF8.self)))"
  }
}

private final class FileLockHandle: PoolLockHandle {
  private let descriptor: Int32

  init(descriptor: Int32) { self.descriptor = descriptor }

  deinit { _ = close(descriptor) }

  func release() { _ = flock(descriptor, LOCK_UN) }
}
