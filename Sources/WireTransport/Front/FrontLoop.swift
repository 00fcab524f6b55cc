import CStorageShims
import Glibc
import ReplModel
import Threads

/// The thread of the front: accepts, polls and moves every connection on.
struct FrontLoop: Sendable {
  let listeners: [Socket]
  let authority: FrontAuthority
  let upstream: String
  let stop: CancelSignal
  let log: TLSFront.Log

  /// Clients that have proven themselves; each watch is one.
  static let maximumTrusted = 512
  /// Others: in their handshake, or being told why not.
  static let maximumPending = 128
  private static let bufferSize = 64 << 10
  private static let shortPause: Int32 = 20
  private static let complaintInterval: Duration = .seconds(60)
  private static let fullPause: Duration = .milliseconds(200)

  /// What is polled, in the order of the poll list.
  private enum Source {
    case stop
    case listener(Socket)
    case connection(Int)
  }

  /// Runs until ``stop`` is given.
  func run() {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.bufferSize, alignment: 16)
    defer { buffer.deallocate() }
    var connections: [FrontConnection] = []
    var pause = Deadline.after(.zero)
    var complaint = Deadline.after(.zero)
    while !stop.isCancelled {
      var (list, sources) = wanted(connections, accepting: pause.isOver)
      // Without an eventfd (no descriptors left) the end is looked for ten times a second.
      let limit: Deadline = stop.descriptor < 0 ? .after(.milliseconds(100)) : .never
      let timeout = Self.timeout(connections, pause: pause, limit: limit)
      if poll(&list, nfds_t(list.count), timeout) < 0, errno != EINTR {
        // Memory is short: without a pause this would spin.
        usleep(UInt32(Self.shortPause) * 1_000)
        continue
      }
      var ready = Set(connections.indices.filter { isDue(connections[$0]) })
      for (entry, source) in zip(list, sources) where entry.revents != 0 {
        switch source {
        case .stop: return
        case .listener(let socket):
          if let cause = accept(socket, &connections) {
            pause = .after(Self.fullPause)
            complain(of: cause, again: &complaint)
          }
        case .connection(let index): ready.insert(index)
        }
      }
      for index in ready.sorted() where !advance(connections[index], connections, buffer) {
        complain(of: "\(Self.maximumTrusted) connections are open", again: &complaint)
      }
      connections.removeAll { if case .over = $0.phase { true } else { false } }
    }
  }

  private func wanted(_ connections: [FrontConnection], accepting: Bool) -> (list: [pollfd], sources: [Source]) {
    var list = [pollfd(fd: stop.descriptor, events: Int16(POLLIN), revents: 0)]
    var sources = [Source.stop]
    func add(_ socket: Socket?, _ events: Int32, _ source: Source) {
      // A socket that nothing is wanted of is left out: its hanging up would wake the poll without end.
      guard let socket, events != 0 else { return }
      list.append(pollfd(fd: socket.descriptor, events: Int16(events), revents: 0))
      sources.append(source)
    }
    if accepting { for listener in listeners { add(listener, POLLIN, .listener(listener)) } }
    for (index, connection) in connections.enumerated() {
      add(connection.client, connection.clientEvents, .connection(index))
      add(connection.server, connection.serverEvents, .connection(index))
    }
    return (list, sources)
  }

  private func isDue(_ connection: FrontConnection) -> Bool {
    if case .connecting = connection.phase { return true }
    return connection.hasMore || connection.deadline.isOver
  }

  private static func timeout(_ connections: [FrontConnection], pause: Deadline, limit: Deadline) -> Int32 {
    var end = pause.isOver ? limit : min(pause, limit)
    for connection in connections {
      if connection.hasMore { return 0 }
      if case .connecting = connection.phase { end = min(end, .after(.milliseconds(Int(shortPause)))) }
      end = min(end, connection.deadline)
    }
    return end.pollMilliseconds
  }

  /// Moves a connection on; false when it has proven itself but there is no room for it.
  private func advance(
    _ connection: FrontConnection, _ connections: [FrontConnection], _ buffer: UnsafeMutableRawBufferPointer
  ) -> Bool {
    let before = connection.isTrusted
    connection.advance(buffer)
    guard connection.isTrusted, !before, connections.count(where: \.isTrusted) > Self.maximumTrusted else {
      return true
    }
    connection.refuse("\(Self.maximumTrusted) connections are open")
    return false
  }

  /// Logs, but not again for a while: clients try again and again.
  private func complain(of cause: String, again: inout Deadline) {
    guard again.isOver else { return }
    again = .after(Self.complaintInterval)
    log(ReplError(.transient, subject: "loopback listener", cause: cause))
  }

  /// A flood of clients that say nothing must not keep out one that does: the oldest goes.
  private func makeRoom(_ connections: [FrontConnection]) {
    let pending = connections.filter(\.isPending)
    if pending.count >= Self.maximumPending { pending.first?.cut() }
  }

  /// Takes what waits at a listener; a reason when the process has no descriptor left.
  private func accept(_ listener: Socket, _ connections: inout [FrontConnection]) -> String? {
    for _ in 0..<64 {
      let descriptor = css_accept(listener.descriptor)
      guard descriptor >= 0 else {
        guard [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(-descriptor) else { return nil }
        return "cannot accept: \(systemText(-descriptor))"
      }
      let client = Socket(descriptor)
      makeRoom(connections)
      do throws(ReplError) {
        connections.append(try FrontConnection(client: client, authority: authority, upstream: upstream))
      } catch {
        log(error)
      }
    }
    return nil
  }
}
