import Glibc
public import ReplModel
import Threads

extension TLSConnection {
  /// Connects to the first address of `host` that answers, and runs the handshake.
  ///
  /// A server judges this end's certificate only after this call has returned (TLS 1.3): its refusal shows at the
  /// first read. The resolver is outside `timeout`; addresses are not.
  ///
  /// - Parameters:
  ///   - sessions: where sessions to resume are kept; needs `resumption` in the settings.
  ///   - timeout: for all of it; the handshake has no more than the settings allow.
  ///   - cancelSignal: ends the attempt, and becomes the connection's own.
  /// - Throws: `.transient` when nobody answers, `.unauthenticated` when the server is not whom we trust.
  public static func connect(
    host: String, port: UInt16, settings: TLSSettings, sessions: TLSSessionStore? = nil,
    timeout: Duration = .seconds(10), cancelSignal: CancelSignal = CancelSignal()
  ) throws(ReplError) -> TLSConnection {
    let deadline = Deadline.after(timeout)
    let socket = try connectedSocket(host: host, port: port, deadline: deadline, cancelSignal: cancelSignal)
    return try TLSConnection(
      socket: socket, settings: settings, sessions: sessions, cancelSignal: cancelSignal,
      deadline: min(deadline, .after(settings.options.handshakeTimeout)))
  }

  private static func connectedSocket(
    host: String, port: UInt16, deadline: Deadline, cancelSignal: CancelSignal
  ) throws(ReplError) -> Socket {
    let addresses = try SocketAddress.resolve(host: host, port: port)
    var failure = ReplError(.transient, subject: "peer \(host):\(port)", cause: "the name has no address")
    for address in addresses {
      do throws(ReplError) {
        return try connectedSocket(to: address, deadline: deadline, cancelSignal: cancelSignal)
      } catch {
        if error.kind == .cancelled { throw error }
        failure = error
      }
    }
    throw failure
  }

  private static func connectedSocket(
    to address: SocketAddress, deadline: Deadline, cancelSignal: CancelSignal
  ) throws(ReplError) -> Socket {
    let socket = try Socket.stream(family: address.family)
    let subject = "peer \(address)"
    let code = address.withSockaddr { Glibc.connect(socket.descriptor, $0, $1) == 0 ? 0 : errno } ?? EINVAL
    guard code != 0 else { return socket }
    guard code == EINPROGRESS || code == EINTR else { throw unreachable(subject, code) }
    switch cancelSignal.wait(for: socket.descriptor, events: POLLOUT, until: deadline) {
    case .cancelled: throw ReplError(.cancelled, subject: subject, cause: "the connection was closed on this side")
    case .timedOut: throw unreachable(subject, ETIMEDOUT)
    case .ready: break
    }
    let outcome = socket.pendingError()
    guard outcome == 0 else { throw unreachable(subject, outcome) }
    return socket
  }

  private static func unreachable(_ subject: String, _ code: Int32) -> ReplError {
    ReplError(
      .transient, subject: subject, cause: "cannot connect: \(systemText(code))",
      remedy: "check that repl-agent runs there and that the port is open")
  }
}
