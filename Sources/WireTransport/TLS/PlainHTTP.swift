import Glibc
import ReplModel
import Threads

/// People, and tools of Stork, ask a port of ours in plain HTTP: they are told what it speaks, and nothing else. Nothing of
/// the request is read.
enum PlainHTTP {
  /// Bytes that tell a method from the beginning of a handshake, which is 0x16.
  private static let methods = ["GET ", "POST", "PUT ", "HEAD", "DELE", "PATC", "OPTI"]

  /// Whether the first bytes of a connection are those of a request. Waits for them.
  static func isSpoken(on socket: Socket, _ signal: CancelSignal, until deadline: Deadline) -> Bool {
    guard signal.wait(for: socket.descriptor, events: POLLIN, until: deadline) == .ready else { return false }
    var bytes = [UInt8](repeating: 0, count: 4)
    let count = recv(socket.descriptor, &bytes, bytes.count, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
    return count == bytes.count && methods.contains(String(decoding: bytes, as: UTF8.self))
  }

  /// Sends what fits without waiting; the connection is closed afterwards.
  static func answer(_ text: String, on socket: Socket) {
    let body = text + "\n"
    let response =
      "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: \(body.utf8.count)\r\n"
      + "Connection: close\r\n\r\n" + body
    let bytes = Array(response.utf8)
    let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
    _ = send(socket.descriptor, bytes, bytes.count, flags)
    socket.letRead()
  }
}
