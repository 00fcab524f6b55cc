import Glibc
import ReplModel

/// The two files of a certificate authority, written so that a crash leaves each whole or absent.
struct AuthorityFiles {
  /// No key and no certificate of ours is near this size.
  private static let sizeLimit = 64 << 10

  let directory: String
  var keyPath: String { directory + "/ca.key" }
  var certificatePath: String { directory + "/ca.crt" }

  /// Nil when there is none; refused when group or others may read it.
  func readKey() throws(ReplError) -> [UInt8]? {
    try read(keyPath) { (status: stat) throws(ReplError) in
      guard status.st_mode & 0o077 == 0 else {
        throw ReplError(
          .refused, subject: keyPath, cause: "others than its owner may use the private key",
          remedy: "chmod 600 \(keyPath), and consider the key known to whoever could read it")
      }
    }
  }

  func readCertificate() throws(ReplError) -> [UInt8]? {
    try read(certificatePath) { _ throws(ReplError) in }
  }

  func writeKey(_ bytes: [UInt8]) throws(ReplError) { try write(bytes, to: keyPath, mode: 0o600) }

  func writeCertificate(_ bytes: [UInt8]) throws(ReplError) { try write(bytes, to: certificatePath, mode: 0o644) }

  private func read(_ path: String, check: (stat) throws(ReplError) -> Void) throws(ReplError) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw failure(path, "cannot open")
    }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw failure(path, "cannot examine") }
    guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= Self.sizeLimit else {
      throw ReplError(.damaged, subject: path, cause: "is not a regular file of at most \(Self.sizeLimit) bytes")
    }
    try check(status)
    var bytes = [UInt8](repeating: 0, count: Self.sizeLimit)
    var count = 0
    while count < bytes.count {
      let step = bytes[count...].withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
      if step < 0, errno == EINTR { continue }
      guard step >= 0 else { throw failure(path, "cannot read") }
      if step == 0 { break }
      count += step
    }
    return Array(bytes[..<count])
  }

  /// A file under another name, synced, then one rename, then the directory synced.
  private func write(_ bytes: [UInt8], to path: String, mode: mode_t) throws(ReplError) {
    let temporary = path + ".new"
    unlink(temporary)
    let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
    guard file >= 0 else { throw failure(temporary, "cannot create") }
    do throws(ReplError) {
      try writeAll(bytes, to: file, path: temporary)
      guard fsync(file) == 0 else { throw failure(temporary, "cannot sync") }
    } catch {
      close(file)
      unlink(temporary)
      throw error
    }
    guard close(file) == 0, rename(temporary, path) == 0 else {
      let error = failure(path, "cannot replace")
      unlink(temporary)
      throw error
    }
    try syncDirectory()
  }

  private func writeAll(_ bytes: [UInt8], to file: Int32, path: String) throws(ReplError) {
    var written = 0
    while written < bytes.count {
      let step = bytes[written...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if step < 0, errno == EINTR { continue }
      guard step > 0 else { throw failure(path, "cannot write") }
      written += step
    }
  }

  private func syncDirectory() throws(ReplError) {
    let handle = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard handle >= 0 else { throw failure(directory, "cannot open") }
    defer { close(handle) }
    guard fsync(handle) == 0 else { throw failure(directory, "cannot sync") }
  }

  private func failure(_ path: String, _ what: String) -> ReplError {
    let code = errno
    return ReplError(code == ENOSPC ? .noSpace : .io, subject: path, cause: "\(what): \(systemText(code))")
  }
}
