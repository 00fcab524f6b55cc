import CStorageShims
import Glibc
public import ReplModel
import Threads

/// Accepts TLS connections on one port and runs a handler for each on a thread of its own.
///
/// The handshake happens on that thread under its deadline, so a slow or silent peer holds up nobody. Signals: sends
/// never raise SIGPIPE. It lives until ``stop()``, whether or not somebody still refers to it.
public final class TLSListener: Sendable {
  /// Runs for one connection and returns when it is done with it; the connection is closed then.
  public typealias Handler = @Sendable (TLSConnection) -> Void
  /// Hears of connections that came to nothing: remote address and reason.
  public typealias RefusalLog = @Sendable (_ remote: String, _ error: ReplError) -> Void
  /// Tells the other end, in its protocol, why it is not served.
  public typealias Refusal = @Sendable (TLSConnection, ReplError) -> Void

  private enum Entry: Sendable {
    /// Nothing is known of the other end but the address it comes from.
    case handshake(CancelSignal)
    case connection(TLSConnection)

    func cancel() {
      switch self {
      case .handshake(let signal): signal.cancel()
      case .connection(let connection): connection.cancel()
      }
    }
  }

  private struct Live {
    var places: PlaceTable
    /// Connections and handshakes in progress. For tests.
    var entries: [Int: Entry] = [:]
    var stopped = false

    mutating func finish(_ key: Int) -> Entry? {
      places.leave(key)
      return entries.removeValue(forKey: key)
    }
  }

  /// Where it listens.
  public let boundAddress: SocketAddress
  /// Nil once stopped: the port is free then.
  private let socket: Locked<Socket?>
  private let settings: TLSSettings
  private let log: RefusalLog
  private let refuse: Refusal
  private let handler: Handler
  private let plainHTTPAnswer: String?
  private let pool: WorkerPool
  private let stopSignal = CancelSignal()
  private let live: Locked<Live>
  private let acceptThread = Locked<WorkerThread?>(nil)

  /// Listens and starts accepting.
  ///
  /// - Parameters:
  ///   - address: numeric; `::` stands for every IPv6 and IPv4 address, `0.0.0.0` for every IPv4 address.
  ///   - port: 0 for any free one; see ``boundPort``.
  ///   - limits: a peer beyond them is told why and closed; of strangers the oldest go first.
  ///   - log: called on various threads; must not block.
  ///   - plainHTTPAnswer: what a client is told that speaks HTTP without TLS; nil: it is closed like any other that does
  ///     not speak TLS.
  ///   - refuse: called before a connection beyond the limits is closed, within two seconds.
  /// - Throws: `.invalid` for a bad address, `.refused` when the port is taken.
  public init(
    address: String, port: UInt16, settings: TLSSettings, limits: ListenerLimits = ListenerLimits(),
    plainHTTPAnswer: String? = nil, log: @escaping RefusalLog = { _, _ in },
    refuse: @escaping Refusal = { _, _ in }, handler: @escaping Handler
  ) throws(ReplError) {
    let wanted = try SocketAddress.numeric(host: address, port: port)
    let socket = try Self.listen(wanted)
    self.socket = Locked(socket)
    boundAddress = socket.localAddress ?? wanted
    self.settings = settings
    self.log = log
    self.refuse = refuse
    self.handler = handler
    self.plainHTTPAnswer = plainHTTPAnswer
    live = Locked(Live(places: PlaceTable(limits)))
    // In a flood connections come faster than threads start: as many may wait as there may be threads.
    pool = WorkerPool(name: "tls-\(boundAddress.port)", threads: limits.threads, queued: limits.threads)
    // Problems with our own certificate are this node's fault and shown at start, not at the first peer.
    _ = try settings.context()
    let thread = try WorkerThread(name: "accept-\(boundAddress.port)") { [self] in acceptLoop(socket) }
    acceptThread.withLock { $0 = thread }
  }

  /// The port it listens on, also when 0 was asked for.
  public var boundPort: UInt16 { boundAddress.port }

  /// Connections and handshakes in progress. For tests.
  public var connectionCount: Int { live.withLock { $0.entries.count } }

  /// Stops accepting, cancels every connection and waits until all handlers have returned. Not from within a handler.
  public func stop() {
    stopSignal.cancel()
    acceptThread.withLock { $0 }?.join()
    socket.withLock { $0 = nil }
    pool.stop()
    let entries = live.withLock { live in
      live.stopped = true
      return Array(live.entries.values)
    }
    for entry in entries { entry.cancel() }
    pool.join()
    live.withLock { live in
      for key in live.entries.keys { _ = live.finish(key) }
    }
  }

  /// Cancels the connections that `condition` holds for, such as those of a peer that is trusted no more.
  ///
  /// Change what the trust says before. Handshakes in progress are cancelled too, since one may have asked it already;
  /// an honest peer tries again.
  ///
  /// - Returns: how many connections were cancelled; their handlers may still run for a moment.
  @discardableResult
  public func cancelConnections(where condition: (TLSConnection) -> Bool) -> Int {
    var count = 0
    for entry in live.withLock({ Array($0.entries.values) }) {
      switch entry {
      case .handshake: entry.cancel()
      case .connection(let connection) where condition(connection):
        entry.cancel()
        count += 1
      case .connection: break
      }
    }
    return count
  }

  private static func listen(_ address: SocketAddress) throws(ReplError) -> Socket {
    let socket = try Socket.stream(family: address.family)
    socket.set(SOL_SOCKET, SO_REUSEADDR, 1)
    if address.family == AF_INET6 { socket.set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
    let bound = address.withSockaddr { bind(socket.descriptor, $0, $1) == 0 } ?? false
    guard bound, Glibc.listen(socket.descriptor, 128) == 0 else {
      let code = errno
      throw ReplError(
        .refused, subject: "listen address \(address)", cause: "cannot listen: \(systemText(code))",
        remedy: code == EADDRINUSE ? "stop what uses the port, or set another one" : nil)
    }
    return socket
  }

  private func acceptLoop(_ socket: Socket) {
    while stopSignal.wait(for: socket.descriptor, events: POLLIN, until: .never) == .ready {
      let descriptor = css_accept(socket.descriptor)
      if descriptor >= 0 {
        admit(Socket(descriptor))
      } else if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(-descriptor) {
        let cause = "cannot accept: \(systemText(-descriptor))"
        log("", ReplError(.transient, subject: "port \(boundPort)", cause: cause))
        // The connection stays in the backlog: without a pause this would spin until a descriptor is free.
        _ = stopSignal.wait(for: -1, events: 0, until: .after(.milliseconds(200)))
      }
    }
  }

  private func admit(_ accepted: Socket) {
    let address = accepted.remoteAddress
    let remote = address?.description ?? "unknown"
    let signal = CancelSignal()
    let introduced = Deadline.after(settings.options.introductionTimeout)
    guard let key = register(signal, host: address?.network ?? "", remote: remote) else { return }
    if !pool.submit({ [self] in serve(accepted, key: key, signal: signal, remote: remote, introduced: introduced) }) {
      finish(key)
      log(remote, ReplError(.transient, subject: "peer \(remote)", cause: "no thread is free"))
    }
  }

  private func serve(_ accepted: Socket, key: Int, signal: CancelSignal, remote: String, introduced: Deadline) {
    defer { finish(key) }
    do throws(ReplError) {
      let deadline = min(introduced, .after(settings.options.handshakeTimeout))
      if let plainHTTPAnswer, PlainHTTP.isSpoken(on: accepted, signal, until: deadline) {
        PlainHTTP.answer(plainHTTPAnswer, on: accepted)
        throw ReplError(.protocolViolation, subject: "peer \(remote)", cause: "speaks plain HTTP")
      }
      let connection = try TLSConnection(
        socket: accepted, settings: settings, sessions: nil, cancelSignal: signal, deadline: deadline)
      connection.setDeadline(introduced)
      do throws(ReplError) {
        try identify(key, connection)
      } catch {
        connection.setDeadline(.after(.seconds(2)))
        refuse(connection, error)
        connection.close(lingering: .seconds(1))
        throw error
      }
      handler(connection)
      connection.close()
    } catch {
      log(remote, error)
    }
  }

  /// A place for a handshake; nil once the listener stops.
  private func register(_ signal: CancelSignal, host: String, remote: String) -> Int? {
    let (key, evicted) = live.withLock { live -> (Int?, Entry?) in
      guard !live.stopped else { return (nil, nil) }
      let (key, evicted) = live.places.enter(from: host)
      live.entries[key] = .handshake(signal)
      return (key, evicted.flatMap { live.finish($0) })
    }
    evicted?.cancel()
    return key
  }

  /// - Throws: `.refused` when there is no place for this one, or the listener stops.
  private func identify(_ key: Int, _ connection: TLSConnection) throws(ReplError) {
    let standing = connection.peerIdentity.map { PlaceTable.Standing.peer($0.clusterID) } ?? .anonymous
    let refusal: (String) -> ReplError = {
      ReplError(
        .refused, subject: "peer \(connection.remoteAddress)", cause: $0, remedy: "close some, or try again later")
    }
    let evicted = try live.withLock { (live) throws(ReplError) -> Entry? in
      if live.stopped { throw refusal("the listener stops") }
      switch live.places.identify(key, as: standing) {
      case .refused(let reason): throw refusal(reason)
      case .stays(let evicting):
        live.entries[key] = .connection(connection)
        return evicting.flatMap { live.finish($0) }
      }
    }
    evicted?.cancel()
  }

  private func finish(_ key: Int) { _ = live.withLock { $0.finish(key) } }
}
