import Glibc
import ReplModel

/// The file of the local socket: made under another name first, so that it has its mode and owner before anybody can
/// find it, and never taken from an agent that still answers.
struct LocalSocket: Sendable {
  let path: String
  /// What the server binds to.
  let temporaryPath: String

  private static let groupName = "repl-agent"
  /// Longest path of a Unix socket on Linux, without the zero byte.
  private static let maximumLength = 107

  init(path: String) {
    self.path = path
    let slash = path.lastIndex(of: "/")
    let directory = slash.map { String(path[...$0]) } ?? ""
    temporaryPath = "\(directory).\(getpid()).sock"
  }

  /// Makes the directory and sees that nobody serves this path.
  func prepare() throws(ReplError) {
    guard path.hasPrefix("/"), path.utf8.count <= Self.maximumLength,
      temporaryPath.utf8.count <= Self.maximumLength
    else {
      throw ReplError(
        .invalid, subject: "socket \(path)", cause: "the path must be absolute and at most 107 bytes long",
        remedy: "choose a shorter path")
    }
    try makeDirectory()
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw ReplError(
        .refused, subject: "socket \(path)", cause: "there is a file of this name that is not a socket",
        remedy: "remove it or choose another path")
    }
    guard !answers() else {
      throw ReplError(
        .refused, subject: "socket \(path)", cause: "another agent answers on it",
        remedy: "stop that agent or choose another path")
    }
    unlink(path)
  }

  private func makeDirectory() throws(ReplError) {
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
    let directory = String(path[..<slash])
    guard access(directory, F_OK) != 0 else { return }
    guard mkdir(directory, 0o755) == 0 || errno == EEXIST else {
      throw ReplError(
        .io, subject: "directory \(directory)", cause: String(cString: strerror(errno)),
        remedy: "make the directory of the socket")
    }
  }

  /// Gives the bound socket its owner and mode, then its name.
  func publish() throws(ReplError) {
    var entry = Glibc.group()
    var found: UnsafeMutablePointer<Glibc.group>?
    var buffer = [CChar](repeating: 0, count: 16_384)
    if getgrnam_r(Self.groupName, &entry, &buffer, buffer.count, &found) == 0, found != nil {
      // Fails without privilege, and then only the own user gets in: safe.
      _ = chown(temporaryPath, uid_t.max, entry.gr_gid)
    }
    guard chmod(temporaryPath, 0o660) == 0, rename(temporaryPath, path) == 0 else {
      throw ReplError(.io, subject: "socket \(path)", cause: String(cString: strerror(errno)))
    }
  }

  /// Takes the file away when the server has ended.
  func remove() {
    unlink(temporaryPath)
    if !answers() { unlink(path) }
  }

  /// Whether a server accepts connections on the path.
  private func answers() -> Bool {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return true }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(Self.maximumLength)) }
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    return result == 0 || errno == EAGAIN || errno == EACCES
  }
}
