import Glibc
import ReplModel
import TestSupport
import Testing

@testable import WireTransport
import Threads

/// Two connected TCP sockets on the loopback interface.
func socketPair(host: String = "127.0.0.1") throws -> (client: Socket, server: Socket) {
  let address = try SocketAddress.numeric(host: host, port: 0)
  let listening = try Socket.stream(family: address.family)
  #expect(address.withSockaddr { bind(listening.descriptor, $0, $1) } == 0)
  #expect(listen(listening.descriptor, 1) == 0)
  let client = try connectedSocket(to: try #require(listening.localAddress))
  let signal = CancelSignal()
  #expect(signal.wait(for: listening.descriptor, events: POLLIN, until: .after(patience)) == .ready)
  let accepted = accept(listening.descriptor, nil, nil)
  try #require(accepted >= 0)
  return (client, Socket(accepted))
}

/// A plain TCP connection.
func connectedSocket(to address: SocketAddress) throws -> Socket {
  let socket = try Socket.stream(family: address.family)
  _ = address.withSockaddr { Glibc.connect(socket.descriptor, $0, $1) }
  let signal = CancelSignal()
  #expect(signal.wait(for: socket.descriptor, events: POLLOUT, until: .after(patience)) == .ready)
  #expect(socket.pendingError() == 0)
  return socket
}

extension Socket {
  /// Sends all of a few bytes.
  func sendAll(_ bytes: [UInt8]) { _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

  /// Reads until the peer closes or nothing comes any more.
  func receiveAll() -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    let signal = CancelSignal()
    while signal.wait(for: descriptor, events: POLLIN, until: .after(patience)) == .ready {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { break }
      bytes += buffer[..<count]
    }
    return bytes
  }
}

/// What both ends made of one handshake.
struct Handshake {
  var client: Result<TLSConnection, ReplError>
  var server: Result<TLSConnection, ReplError>

  /// Runs both ends at once.
  static func run(
    client: TLSSettings, server: TLSSettings, sessions: TLSSessionStore? = nil, timeout: Duration = patience
  ) throws -> Handshake {
    let pair = try socketPair()
    let accepted = BoundedQueue<Result<TLSConnection, ReplError>>(capacity: 1)
    let deadline = Deadline.after(timeout)
    let thread = try WorkerThread(name: "server") {
      accepted.put(capture { () throws(ReplError) in try end(pair.server, server, nil, deadline) })
    }
    let connected = capture { () throws(ReplError) in try end(pair.client, client, sessions, deadline) }
    thread.join()
    return Handshake(client: connected, server: try #require(accepted.take(deadline: .after(patience))))
  }

  /// Both ends of a handshake that must succeed.
  static func pair(
    client: TLSSettings, server: TLSSettings, sessions: TLSSessionStore? = nil
  ) throws -> (client: TLSConnection, server: TLSConnection) {
    let done = try run(client: client, server: server, sessions: sessions)
    return (try done.client.get(), try done.server.get())
  }

  private static func end(
    _ socket: Socket, _ settings: TLSSettings, _ sessions: TLSSessionStore?, _ deadline: Deadline
  ) throws(ReplError) -> TLSConnection {
    try TLSConnection(
      socket: socket, settings: settings, sessions: sessions, cancelSignal: CancelSignal(), deadline: deadline)
  }
}

extension Result where Failure == ReplError {
  /// The error, of a result that must be one.
  var failure: ReplError? {
    if case .failure(let error) = self { return error }
    return nil
  }
}

/// Bytes that depend on a seed only.
func pattern(_ count: Int, seed: UInt64) -> [UInt8] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  let words = (0..<(count + 7) / 8).map { _ in
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
  return words.withUnsafeBytes { Array($0.prefix(count)) }
}

/// A directory that is gone after the test.
func withTemporaryDirectory<Value>(_ body: (String) throws -> Value) throws -> Value {
  var template = Array("/tmp/wire-transport-XXXXXX".utf8CString)
  let path = try #require(mkdtemp(&template).map { String(cString: $0) })
  defer {
    for name in ["ca.key", "ca.crt", "ca.key.new", "ca.crt.new"] { unlink("\(path)/\(name)") }
    rmdir(path)
  }
  return try body(path)
}
