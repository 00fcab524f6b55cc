import Glibc
public import ReplModel
import Threads

/// A TLS door on the loopback interface to a local Unix socket, for programs that cannot speak to a Unix socket.
///
/// Whoever shows a client certificate of its authority is connected through, byte by byte; others are told
/// `401 Unauthorized`. It knows nothing of what is said. One thread serves all connections.
public final class TLSFront: Sendable {
  /// Hears of trouble on the front's thread; must not block.
  public typealias Log = @Sendable (ReplError) -> Void

  /// The addresses it may listen on.
  public static let addresses = ["127.0.0.1", "::1"]

  /// Where it listens: one port, on one or both addresses.
  public let bound: [SocketAddress]
  private let stopSignal: CancelSignal
  private let thread: WorkerThread

  /// Listens and starts serving.
  ///
  /// - Parameters:
  ///   - addresses: of ``addresses``; one that this machine does not have is left out.
  ///   - port: 0 for any free one.
  ///   - upstream: path of the Unix socket.
  /// - Throws: `.refused` when the port is taken, `.invalid` for another address.
  public init(
    addresses: [String] = TLSFront.addresses, port: UInt16, upstream: String, authority: FrontAuthority,
    log: @escaping Log = { _ in }
  ) throws(ReplError) {
    for address in addresses where !Self.addresses.contains(address) {
      throw ReplError(.invalid, subject: "address \(address)", cause: "is not of the loopback interface")
    }
    // Trouble with the keys is shown at start, not to the first client.
    _ = try authority.context()
    let listeners = try Self.listen(addresses, port)
    bound = listeners.compactMap(\.localAddress)
    let signal = CancelSignal()
    stopSignal = signal
    let loop = FrontLoop(listeners: listeners, authority: authority, upstream: upstream, stop: signal, log: log)
    thread = try WorkerThread(name: "api-tls") { loop.run() }
  }

  /// The port it listens on.
  public var port: UInt16 { bound.first?.port ?? 0 }

  /// Ends every connection and frees the port.
  public func stop() {
    stopSignal.cancel()
    thread.join()
  }

  /// A free port may be free on one address only: others are tried.
  private static func listen(_ addresses: [String], _ port: UInt16) throws(ReplError) -> [Socket] {
    for _ in 0..<(port == 0 ? 16 : 1) {
      if let sockets = try listenOnce(addresses, port) { return sockets }
    }
    throw ReplError(
      .refused, subject: "loopback port \(port)", cause: "is in use",
      remedy: "stop what uses it, or set another one at api.listen")
  }

  /// Nil when the port is taken.
  private static func listenOnce(_ addresses: [String], _ port: UInt16) throws(ReplError) -> [Socket]? {
    var sockets: [Socket] = []
    var port = port
    for host in addresses {
      let address = try SocketAddress.numeric(host: host, port: port)
      guard let socket = try? Socket.stream(family: address.family) else { continue }
      socket.set(SOL_SOCKET, SO_REUSEADDR, 1)
      if address.family == AF_INET6 { socket.set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
      let isBound = address.withSockaddr { bind(socket.descriptor, $0, $1) == 0 } ?? false
      guard isBound, Glibc.listen(socket.descriptor, 128) == 0 else {
        if errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT { continue }
        if errno == EADDRINUSE { return nil }
        throw ReplError(.refused, subject: "\(address)", cause: "cannot listen: \(systemText(errno))")
      }
      port = socket.localAddress?.port ?? port
      sockets.append(socket)
    }
    guard !sockets.isEmpty else {
      throw ReplError(.refused, subject: "loopback interface", cause: "has no address to listen on")
    }
    return sockets
  }
}
