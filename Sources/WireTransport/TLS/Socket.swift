import Glibc
import ReplModel
import Threads

/// Owns a socket, closed when the last user is gone: a descriptor is never closed, and its number reused, under a
/// thread that waits on it.
final class Socket: Sendable {
  let descriptor: Int32

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// What every connection of ours wants. Failures do not matter: the connection works without.
  func tune(stallTimeout: Duration) {
    set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    set(SOL_SOCKET, SO_KEEPALIVE, 1)
    set(Int32(IPPROTO_TCP), TCP_KEEPIDLE, 15)
    set(Int32(IPPROTO_TCP), TCP_KEEPINTVL, 5)
    set(Int32(IPPROTO_TCP), TCP_KEEPCNT, 6)
    set(Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, Int32(clamping: stallTimeout.components.seconds * 1000))
  }

  func set(_ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Ends both directions at once; waiting threads wake.
  func shutDown() { shutdown(descriptor, Int32(SHUT_RDWR)) }

  /// Whether the system takes bytes without delay.
  var hasRoom: Bool {
    var list = [pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)]
    return poll(&list, 1, 0) > 0
  }

  /// Says that nothing more will be sent.
  func shutDownWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Before the socket is closed: waits, shortly, until the other end has read what was sent last. One that is closed with
  /// bytes unread would be reset, and those words lost.
  func letRead() {
    shutDownWriting()
    let deadline = Deadline.after(.milliseconds(500))
    var scratch = [UInt8](repeating: 0, count: 4096)
    for _ in 0..<64 {
      var list = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
      guard poll(&list, 1, deadline.pollMilliseconds) > 0 else { return }
      guard recv(descriptor, &scratch, scratch.count, Int32(MSG_DONTWAIT)) > 0 else { return }
    }
  }

  /// An error that a connect in progress ended with, or 0.
  func pendingError() -> Int32 {
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 ? code : errno
  }

  var localAddress: SocketAddress? { SocketAddress { getsockname(descriptor, $0, $1) } }
  var remoteAddress: SocketAddress? { SocketAddress { getpeername(descriptor, $0, $1) } }

  /// A non-blocking stream socket that children do not inherit.
  static func stream(family: Int32) throws(ReplError) -> Socket {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(family, kind, 0)
    guard descriptor >= 0 else {
      throw ReplError(.transient, subject: "socket", cause: "cannot be made: \(systemText(errno))")
    }
    return Socket(descriptor)
  }
}
