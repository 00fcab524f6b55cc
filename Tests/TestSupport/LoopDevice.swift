import Glibc

/// A loop device on a file, detached by ``detach()`` or when the object goes.
///
/// Tests run side by side, and two `losetup --find` at once can open the same free device: the one that comes too late
/// holds it open for writing for a moment, and a test that looks at who has its device open sees that process. Devices
/// are therefore attached one at a time, over all test processes of the machine.
public final class LoopDevice: @unchecked Sendable {
  // Unchecked: nothing but `isAttached` changes, and detach is called by the one test that owns the object.

  /// As in `/dev/loop3`.
  public let path: String
  private var isAttached = true

  /// Attaches a free device to the file `backing`.
  public init(_ backing: String, readOnly: Bool = false) throws {
    let options = ["--find", "--show"] + (readOnly ? ["--read-only"] : [])
    path = try Self.attaching { try LoopFileSystem.run(["losetup"] + options + [backing]) }
  }

  deinit { detach() }

  public func detach() {
    guard isAttached else { return }
    isAttached = false
    _ = try? LoopFileSystem.run(["losetup", "--detach", path])
  }

  /// Runs `body` while nobody else attaches a device: for `mount -o loop` and its like.
  public static func attaching<Value>(_ body: () throws -> Value) throws -> Value {
    let lock = open("/tmp/loop-devices-of-tests.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    guard lock >= 0 else { throw LoopFileSystem.Failure(description: "cannot make the lock of loop devices") }
    defer { close(lock) }
    while flock(lock, LOCK_EX) != 0 {
      guard errno == EINTR else { throw LoopFileSystem.Failure(description: "cannot lock the loop devices") }
    }
    return try body()
  }
}
