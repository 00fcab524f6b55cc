import CStorageShims
import Glibc
import ReplModel
import Threads

/// One client of the front: greets it, then carries bytes both ways between it and the API's Unix socket.
///
/// A state machine that never waits; the loop calls ``advance(_:)`` when a socket is ready. At most one lent buffer's
/// worth of bytes is held per direction: whoever does not read is not read from. For one thread.
final class FrontConnection {
  enum Phase {
    /// Nothing was received yet.
    case greeting
    case handshake
    /// Waiting for the request that gets this answer.
    case answering(FrontAnswer)
    /// The API's socket has no room at the moment.
    case connecting
    case relay
    /// All was said; waiting until the client has read it.
    case farewell
    case over
  }

  private(set) var phase = Phase.greeting
  private(set) var deadline: Deadline
  /// More can be done although no socket says so.
  private(set) var hasMore = false
  let client: Socket
  private(set) var server: Socket?
  private let upstream: String
  private let session: FrontSession
  private var toServer: [UInt8] = []
  private var toClient: [UInt8] = []
  private var clientEnded = false

  private static let greetingLimit: Duration = .seconds(10)
  private static let connectLimit: Duration = .seconds(5)
  private static let farewellLimit: Duration = .seconds(2)
  /// How long the API may go on for a client that has ended its side.
  private static let halfClosedLimit: Duration = .seconds(30)
  /// Steps of one turn: no connection keeps the others waiting.
  private static let stepsPerTurn = 8

  /// - Parameter upstream: path of the API's Unix socket.
  init(client: Socket, authority: FrontAuthority, upstream: String) throws(ReplError) {
    client.tune(stallTimeout: .seconds(120))
    session = try FrontSession(authority: authority, descriptor: client.descriptor)
    self.client = client
    self.upstream = upstream
    deadline = .after(Self.greetingLimit)
  }

  /// Whether it counts as a client that has proven itself.
  var isTrusted: Bool {
    switch phase {
    case .connecting, .relay: true
    default: false
    }
  }

  /// Whether it has still to prove itself, or could not.
  var isPending: Bool {
    if case .over = phase { false } else { !isTrusted }
  }

  /// Ends it at once.
  func cut() { end() }

  /// What to poll the client's socket for.
  var clientEvents: Int32 {
    let output = session.hasOutput ? POLLOUT : 0
    return switch phase {
    case .greeting, .handshake, .answering, .farewell: POLLIN | output
    case .relay: (toServer.isEmpty && !clientEnded ? POLLIN : 0) | output
    case .connecting, .over: 0
    }
  }

  /// What to poll the API's socket for.
  var serverEvents: Int32 {
    guard case .relay = phase else { return 0 }
    return (toClient.isEmpty && !session.hasOutput ? POLLIN : 0) | (toServer.isEmpty ? 0 : POLLOUT)
  }

  /// Ends a client that has proven itself but for whom there is no room.
  func refuse(_ message: String) { phase = .answering(.unavailable(message)) }

  /// Does what can be done without waiting. `buffer` is lent for the call.
  func advance(_ buffer: UnsafeMutableRawBufferPointer) {
    hasMore = false
    guard !deadline.isOver else { return end() }
    switch phase {
    case .greeting: greet()
    case .handshake: shakeHands()
    case .answering(let answer): self.answer(answer, buffer)
    case .connecting: connect()
    case .relay: relay(buffer)
    case .farewell: drain(buffer)
    case .over: break
    }
  }

  private func end() {
    phase = .over
    server = nil
  }

  private func greet() {
    var first: UInt8 = 0
    switch recv(client.descriptor, &first, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) {
    case 1:
      // The first byte of every TLS connection.
      if first == 0x16 {
        phase = .handshake
        return shakeHands()
      }
      _ = send(client.descriptor, FrontAnswer.plainHTTP, FrontAnswer.plainHTTP.count, Self.flags)
      farewell()
    case 0: end()
    default: if !Self.mayGoOn { end() }
    }
  }

  private func shakeHands() {
    while true {
      let status = session.handshake()
      guard session.flush() != nil else { return end() }
      switch status {
      case CSS_TLS_DONE:
        phase = session.isTrusted ? .connecting : .answering(.unauthorized)
        if session.isTrusted { deadline = .after(Self.connectLimit) }
        hasMore = true
        return
      case CSS_TLS_WANT_READ:
        guard let came = session.fill() else { return end() }
        if !came { return }
      case CSS_TLS_WANT_WRITE: return
      // What is pending now is the alert that says why.
      default: return farewell()
      }
    }
  }

  /// Waits for the first bytes of a request, for clients do not expect an answer before, and answers.
  private func answer(_ answer: FrontAnswer, _ buffer: UnsafeMutableRawBufferPointer) {
    while true {
      switch session.read(into: buffer).status {
      case CSS_TLS_DONE:
        guard answer.bytes.withUnsafeBytes({ session.write($0) }) != nil else { return end() }
        session.closeNotify()
        return farewell()
      case CSS_TLS_WANT_READ:
        guard let came = session.fill() else { return end() }
        if !came { return }
      default: return end()
      }
    }
  }

  private func connect() {
    do throws(ReplError) {
      let socket = try Socket.stream(family: AF_UNIX)
      switch UnixAddress.connect(socket.descriptor, to: upstream) {
      case 0:
        server = socket
        phase = .relay
        deadline = .never
        hasMore = true
      // Its queue is full: the loop comes back in a moment.
      case EAGAIN, EINTR: break
      default: unavailable()
      }
    } catch {
      unavailable()
    }
  }

  private func unavailable() {
    phase = .answering(.unavailable("the agent does not take requests at the moment"))
    hasMore = true
  }
}

extension FrontConnection {
  private static var flags: Int32 { Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL) }

  /// Whether the last call failed only because there is nothing to do yet.
  private static var mayGoOn: Bool { errno == EAGAIN || errno == EINTR }

  private func relay(_ buffer: UnsafeMutableRawBufferPointer) {
    for _ in 0..<Self.stepsPerTurn {
      guard case .relay = phase, let server else { return }
      let up = moveToServer(server, buffer)
      guard case .relay = phase else { return }
      let down = moveToClient(server, buffer)
      if !up, !down { return }
    }
    hasMore = true
  }

  /// Whether anything moved.
  private func moveToServer(_ server: Socket, _ buffer: UnsafeMutableRawBufferPointer) -> Bool {
    if !toServer.isEmpty {
      let count = toServer.withUnsafeBytes { push($0, to: server) }
      toServer.removeFirst(count)
      return count > 0
    }
    guard !clientEnded else { return false }
    let (status, count) = session.read(into: buffer)
    switch status {
    case CSS_TLS_DONE:
      let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
      toServer = Array(bytes.dropFirst(push(bytes, to: server)))
      return true
    case CSS_TLS_WANT_READ:
      guard let came = session.fill() else {
        end()
        return false
      }
      return came
    case CSS_TLS_WANT_WRITE: return false
    case CSS_TLS_CLOSED:
      clientEnded = true
      server.shutDownWriting()
      deadline = .after(Self.halfClosedLimit)
      return true
    default:
      end()
      return false
    }
  }

  /// Hands bytes to the API: how many it took. One that takes none any more may still have an answer to give, so the
  /// rest is dropped and what it says is waited for.
  private func push(_ bytes: UnsafeRawBufferPointer, to server: Socket) -> Int {
    let count = send(server.descriptor, bytes.baseAddress, bytes.count, Self.flags)
    if count >= 0 { return count }
    if Self.mayGoOn { return 0 }
    clientEnded = true
    deadline = .after(Self.halfClosedLimit)
    return bytes.count
  }

  /// Whether anything moved.
  private func moveToClient(_ server: Socket, _ buffer: UnsafeMutableRawBufferPointer) -> Bool {
    if session.hasOutput {
      guard let sent = session.flush() else {
        end()
        return false
      }
      if !sent { return false }
    }
    if !toClient.isEmpty {
      guard let count = toClient.withUnsafeBytes({ session.write($0) }) else {
        end()
        return false
      }
      toClient.removeFirst(count)
      return count > 0
    }
    let count = recv(server.descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
    if count < 0, Self.mayGoOn { return false }
    guard count > 0 else {
      session.closeNotify()
      farewell()
      return false
    }
    let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
    guard let written = session.write(bytes) else {
      end()
      return false
    }
    toClient = Array(bytes.dropFirst(written))
    return true
  }

  private func farewell() {
    server = nil
    phase = .farewell
    deadline = .after(Self.farewellLimit)
    hasMore = true
  }

  /// A socket closed with unread bytes would be reset, and the client might lose what was sent last.
  private func drain(_ buffer: UnsafeMutableRawBufferPointer) {
    guard let sent = session.flush() else { return end() }
    guard sent else { return }
    client.shutDownWriting()
    for _ in 0..<Self.stepsPerTurn {
      let count = recv(client.descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
      if count > 0 { continue }
      if count == 0 || !Self.mayGoOn { end() }
      return
    }
    hasMore = true
  }
}
