import Glibc
import TestSupport

/// An XFS file system whose disk is a file on another XFS, so that the disk can be copied at one instant, as a power
/// cut would leave it, while everything goes on.
final class NestedDisk {
  let outer: LoopFileSystem
  /// Where the inner file system is mounted.
  let path: String
  private var disk: String { "\(outer.path)/disk" }
  private var copies: [String] = []

  init(megabytes: Int) throws {
    outer = try LoopFileSystem(.xfs, megabytes: 3 * megabytes)
    path = outer.path + "/inner"
    try Command.check("truncate", "--size=\(megabytes)M", "\(outer.path)/disk")
    try Command.check("mkfs.xfs", "-q", "-m", "reflink=1", "\(outer.path)/disk")
    try Command.check("mkdir", path)
    _ = try LoopDevice.attaching { try Command.check("mount", "-o", "loop", disk, path) }
  }

  /// A copy of the disk as it is now.
  func copy() throws -> String {
    let copy = "\(outer.path)/copy\(copies.count)"
    try Command.check("cp", "--reflink=always", disk, copy)
    copies.append(copy)
    return copy
  }

  /// Mounts a copy, which replays its journal, for as long as `body` runs.
  func mounting<Value>(_ copy: String, _ body: (String) throws -> Value) throws -> Value {
    let directory = copy + ".mount"
    _ = mkdir(directory, 0o755)
    _ = try LoopDevice.attaching { try Command.check("mount", "-o", "loop,nouuid", copy, directory) }
    defer { _ = try? Command.run(["umount", directory]) }
    return try body(directory)
  }

  private var isOpen = true

  func close() {
    guard isOpen else { return }
    isOpen = false
    for _ in 0..<100 {
      guard let result = try? Command.run(["umount", path]), result.status != 0 else { break }
      usleep(50_000)
    }
    outer.close()
  }

  deinit { close() }
}
