import Glibc
import TestSupport

/// Plain files of the tests, straight through system calls.
enum Files {
  static func write(_ text: String, to path: String) throws {
    let file = try OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC)
    try file.write(Array(text.utf8), at: 0)
  }

  static func read(_ path: String) throws -> [UInt8] {
    let file = try OpenFile(path, O_RDONLY)
    return try file.read(try file.size(), at: 0)
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Size and allocated bytes.
  static func measure(_ path: String) throws -> (size: Int, allocated: Int) {
    var status = stat()
    guard stat(path, &status) == 0 else { throw Failure("stat \(path): error \(errno)") }
    return (Int(status.st_size), Int(status.st_blocks) * 512)
  }

  static func digest(_ path: String) throws -> String {
    try Command.check("sha256sum", path).split(separator: " ").first.map(String.init) ?? ""
  }

  /// Throws with the first differing byte unless two files hold the same bytes and have the same size.
  static func requireEqual(_ left: String, _ right: String) throws { try Command.check("cmp", left, right) }

  /// The file with the bytes of a point: its path may name the file or the directory it lies in.
  static func image(of path: String) -> String {
    exists("\(path)/image") ? "\(path)/image" : path
  }

  /// Overwrites bytes of a sealed, immutable file, as a fault or an intruder would.
  static func tamper(_ path: String, at offset: Int, bytes: [UInt8]) throws {
    try Command.check("chattr", "-i", path)
    let file = try OpenFile(path, O_WRONLY)
    try file.write(bytes, at: offset)
    try file.sync()
    try Command.check("chattr", "+i", path)
  }
}

/// A file descriptor that closes itself.
final class OpenFile {
  let descriptor: Int32
  let path: String

  init(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws {
    self.path = path
    descriptor = open(path, flags | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw Failure("open \(path): error \(errno)") }
  }

  deinit { close(descriptor) }

  func size() throws -> Int {
    let size = lseek(descriptor, 0, SEEK_END)
    guard size >= 0 else { throw Failure("lseek \(path): error \(errno)") }
    return Int(size)
  }

  func write(_ bytes: [UInt8], at offset: Int) throws {
    let count = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
    guard count == bytes.count else { throw Failure("pwrite \(path) at \(offset): error \(errno)") }
  }

  func read(_ count: Int, at offset: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let read = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
    guard read >= 0 else { throw Failure("pread \(path) at \(offset): error \(errno)") }
    return Array(bytes.prefix(read))
  }

  func sync() throws {
    guard fsync(descriptor) == 0 else { throw Failure("fsync \(path): error \(errno)") }
  }

  func truncate(to size: Int) throws {
    guard ftruncate(descriptor, off_t(size)) == 0 else { throw Failure("ftruncate \(path): error \(errno)") }
  }

  /// Gives blocks back; the range reads as zeros.
  func punchHole(at offset: Int, count: Int) throws {
    try Command.check("fallocate", "--punch-hole", "--offset=\(offset)", "--length=\(count)", path)
  }
}
