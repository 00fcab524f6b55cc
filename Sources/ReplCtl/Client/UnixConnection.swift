import Glibc

/// A connected Unix socket with a read buffer. Blocking; used by one thread; closed when it goes out of scope.
final class UnixConnection {
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var position = 0

  /// Longest path of a Unix socket on Linux, without the zero byte.
  private static let maximumPath = 107
  /// Longest line of a response head.
  private static let maximumLine = 65_536

  init(path: String) throws(Failure) {
    guard path.utf8.count <= Self.maximumPath else {
      throw Failure(.usage, "socket \(path)", "the path is longer than \(Self.maximumPath) bytes")
    }
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw Self.unreachable(path) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    if result != 0 { throw Self.unreachable(path) }
  }

  deinit { close(descriptor) }

  private static func unreachable(_ path: String) -> Failure {
    let remedy =
      errno == EACCES
      ? "run as root or as a member of the group repl-agent" : "start repl-agent, or name its socket with --socket"
    return Failure(
      .unreachable, "agent at \(path)", "cannot connect: \(String(cString: strerror(errno)))", remedy: remedy)
  }

  /// Sends all bytes; false if the other side has closed, when there may still be an answer to read.
  func send(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// Bytes that are there, up to `limit`; empty at the end.
  func read(limit: Int) throws(Failure) -> ArraySlice<UInt8> {
    if position == buffer.count { try fill() }
    let end = min(buffer.count, position + limit)
    defer { position = end }
    return buffer[position..<end]
  }

  /// Exactly `count` bytes.
  func read(exactly count: Int) throws(Failure) -> [UInt8] {
    var result: [UInt8] = []
    while result.count < count {
      let part = try read(limit: count - result.count)
      guard !part.isEmpty else { throw Self.cut }
      result += part
    }
    return result
  }

  /// A line without its ending.
  func readLine() throws(Failure) -> String {
    var line: [UInt8] = []
    while true {
      if position == buffer.count { try fill() }
      guard position < buffer.count, line.count < Self.maximumLine else { throw Self.cut }
      let byte = buffer[position]
      position += 1
      if byte == 0x0A { break }
      line.append(byte)
    }
    if line.last == 0x0D { line.removeLast() }
    return String(decoding: line, as: UTF8.self)
  }

  static let cut = Failure(
    .unreachable, "agent", "the connection ended in the middle of an answer",
    remedy: "see whether the agent is running, then try again")

  private func fill() throws(Failure) {
    var chunk = [UInt8](repeating: 0, count: 65_536)
    var count = -1
    repeat {
      count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
    } while count < 0 && errno == EINTR
    guard count >= 0 else { throw Self.cut }
    buffer = Array(chunk.prefix(count))
    position = 0
  }
}
