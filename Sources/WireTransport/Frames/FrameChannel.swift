public import ReplModel
import Synchronization
public import WireProtocol
import Threads

/// Requests and replies over a control or pairing connection, in both directions at once.
///
/// A thread reads; each own request waits on its caller's thread; requests of the peer run on a bounded set of threads
/// with one kept for urgent ones, so that a request of minutes holds up no heartbeat. The channel lives until it is
/// closed by either side, whether or not somebody still refers to it.
public final class FrameChannel: Sendable {
  /// Answers a request of the peer, on one of several threads. A thrown error is sent as the refusal.
  public typealias Handler = @Sendable (FrameRequest) throws(ReplError) -> FrameAnswer

  /// The connection underneath: who the peer is, exporter.
  public let connection: TLSConnection
  private let limits: FrameLimits
  private let handler: Handler
  private let subject: String
  private let pending: PendingRequests
  private let workers: WorkerPool
  private let urgentWorkers: WorkerPool
  private let reader = Locked<WorkerThread?>(nil)
  private let readerEnded = Monitor(false)

  /// Takes over the connection and starts reading.
  ///
  /// - Parameter handler: refuses everything unless given.
  public init(
    connection: TLSConnection, limits: FrameLimits = FrameLimits(), handler: @escaping Handler = FrameChannel.refuse
  ) throws(ReplError) {
    self.connection = connection
    self.limits = limits
    self.handler = handler
    subject = connection.peerIdentity.map { "peer \($0)" } ?? "peer \(connection.remoteAddress)"
    pending = PendingRequests(limit: limits.pendingRequests)
    workers = WorkerPool(name: "request", threads: limits.workers, queued: limits.queuedRequests)
    urgentWorkers = WorkerPool(name: "urgent", threads: 1, queued: limits.queuedRequests)
    connection.setReadTimeout(limits.idleTimeout)
    connection.setWriteTimeout(limits.writeTimeout)
    let thread = try WorkerThread(name: "channel") { [self] in readLoop() }
    reader.withLock { $0 = thread }
  }

  /// The handler of an end that answers nothing.
  public static func refuse(_ request: FrameRequest) throws(ReplError) -> FrameAnswer {
    throw ReplError(.refused, subject: "request \(request.type)", cause: "this end answers no requests")
  }

  /// Sends a request and waits for its reply.
  ///
  /// - Parameters:
  ///   - type: number of a ``WireProtocol/FrameType``.
  ///   - timeout: from the call to the reply; the request itself is not withdrawn.
  /// - Throws: what the peer refused with, `.transient` when the connection ends or the time is over; other kinds when
  ///   the connection ended for lack of trust or a broken protocol.
  public func request(type: UInt16, body: [UInt8], timeout: Duration) throws(ReplError) -> FrameReply {
    let deadline = Deadline.after(timeout)
    let id = try pending.begin(subject: subject)
    do throws(ReplError) {
      try send(type: type, flags: [], id: id, body: body)
    } catch {
      pending.forget(id)
      throw pending.closed ?? error
    }
    let reply = try pending.wait(for: id, until: deadline, subject: subject)
    guard reply.type == type else {
      let error = WireError(.outOfOrder, "answered frame type \(type) with \(reply.type)")
      close(CloseNotice(error, subject: subject))
      throw error.asReplError(subject: subject)
    }
    guard reply.flags.contains(.error) else { return reply }
    throw refusal(in: reply)
  }

  /// Tells the peer why, and ends the connection. Requests in flight fail. From any thread, any number of times.
  public func close(_ notice: CloseNotice) {
    guard announce(notice) else { return }
    // The reader goes on until the peer has closed too: a socket closed with unread bytes would be reset, and the
    // notice lost.
    connection.endSending()
    _ = readerEnded.wait(until: .after(.milliseconds(500))) { $0 ? true : nil }
    connection.close()
  }

  /// Ends the connection without waiting: the reason is sent if there is room for it. The other end may not even read.
  public func abandon(_ notice: CloseNotice) {
    guard fail(notice.error) else { return }
    let body = notice.encode()
    let header = ControlFrameHeader(
      type: FrameType.close.rawValue, flags: [], length: UInt32(clamping: body.count), requestID: 0)
    let frame = header.encode() + body
    frame.withUnsafeBytes { bytes in _ = try? connection.writeAtOnce(bytes) }
    connection.endSending()
  }

  /// Ends an unneeded connection in order.
  public func close() {
    close(CloseNotice(reason: .done, error: ReplError(.transient, subject: subject, cause: "the connection is closed")))
  }

  /// Why the channel is closed; nil while it is open.
  public var closeError: ReplError? { pending.closed }

  /// Waits until either side has closed. Handlers may still run; see ``join()``.
  public func waitUntilClosed() { reader.withLock { $0 }?.join() }

  /// Waits until the channel is closed and every handler has returned. Not from within a handler.
  public func join() {
    waitUntilClosed()
    workers.join()
    urgentWorkers.join()
  }
}

// MARK: sending

extension FrameChannel {
  private func send(type: UInt16, flags: ControlFrameHeader.Flags, id: UInt32, body: [UInt8]) throws(ReplError) {
    guard body.count <= FrameType.bodyLimit(type: type, flags: flags) else {
      throw ReplError(
        .bug, subject: subject, cause: "a body of \(body.count) bytes is too long for frame type \(type)")
    }
    let header = ControlFrameHeader(type: type, flags: flags, length: UInt32(body.count), requestID: id).encode()
    do throws(ReplError) {
      try connection.write(header, body)
    } catch {
      // What the peer said last tells more than that it is gone: the reader is given a moment to meet it.
      _ = readerEnded.wait(until: .after(.milliseconds(500))) { $0 ? true : nil }
      // A frame cut in the middle leaves nothing that could follow it.
      if fail(error) { connection.cancel() }
      throw error
    }
  }

  private func reply(to header: ControlFrameHeader, flags: ControlFrameHeader.Flags, body: [UInt8]) {
    // An optional frame that wants no answer has id 0.
    guard header.requestID != 0 else { return }
    do throws(ReplError) {
      try send(type: header.type, flags: flags.union(.reply), id: header.requestID, body: body)
    } catch {
      if error.kind == .bug { refuse(header, error) }
    }
  }

  private func refuse(_ header: ControlFrameHeader, _ error: ReplError) {
    let (flags, body) = ControlReply.refused(error).encode()
    reply(to: header, flags: flags, body: body)
  }
}

// MARK: receiving

extension FrameChannel {
  private func readLoop() {
    defer { readerEnded.change { $0 = true } }
    do throws(WireError) {
      while let frame = try readFrame() {
        guard try accept(frame) else { break }
      }
    } catch {
      _ = announce(CloseNotice(error, subject: subject))
    }
    connection.close(lingering: .seconds(1))
  }

  /// A frame as it arrived, with its share of the peer's budget.
  private struct Arrival {
    var header: ControlFrameHeader
    var body: [UInt8]
    var share: InboundBudget.Share?
  }

  /// Bytes of a body that memory is taken for before they are there.
  private static let bodyStep = 64 << 10

  /// Nil at the end, of whatever kind: the channel is closed then. The first byte may be waited for long, the others must
  /// follow.
  private func readFrame() throws(WireError) -> Arrival? {
    var bytes = [UInt8](repeating: 0, count: 1)
    guard let first = fill(&bytes, until: .never) else { return nil }
    guard first > 0 else {
      _ = fail(ReplError(.transient, subject: subject, cause: "the peer closed the connection"))
      return nil
    }
    let deadline = Deadline.after(limits.frameTimeout)
    var rest = [UInt8](repeating: 0, count: ControlFrameHeader.byteCount - 1)
    guard let count = fill(&rest, until: deadline) else { return nil }
    guard count == rest.count else { throw WireError(.malformedHeader, "the stream ends within a header") }
    let header = try ControlFrameHeader(bytes: bytes + rest)
    try limits.gate?.check(header)
    var share: InboundBudget.Share?
    // What is urgent is small, and waits for nothing of what other connections of the peer bring.
    if header.length > 0, !header.flags.contains(.reply), !limits.urgentTypes.contains(header.type) {
      share = shareOfBudget(Int(header.length), until: deadline)
      guard share != nil else { return nil }
    }
    guard let body = try readBody(header, until: deadline) else { return nil }
    return Arrival(header: header, body: body, share: share)
  }

  /// Memory grows with what has arrived: an announcement costs nothing. The body of what nobody waits for is dropped.
  private func readBody(_ header: ControlFrameHeader, until deadline: Deadline) throws(WireError) -> [UInt8]? {
    let isWanted = header.isKnown && (!header.flags.contains(.reply) || pending.isWaiting(for: header.requestID))
    var body: [UInt8] = []
    var left = Int(header.length)
    while left > 0 {
      var step = [UInt8](repeating: 0, count: min(left, Self.bodyStep))
      guard let count = fill(&step, until: deadline) else { return nil }
      guard count == step.count else {
        throw WireError(.malformedBody, "the stream ends within the body of frame type \(header.type)")
      }
      if isWanted { body += step }
      left -= count
    }
    return body
  }

  /// Room in the peer's budget, waited for without reading on; nil when it does not come in time, or the channel is closed.
  private func shareOfBudget(_ count: Int, until deadline: Deadline) -> InboundBudget.Share? {
    while pending.closed == nil, !connection.isCancelled {
      let next = min(deadline, .after(.milliseconds(200)))
      if let share = limits.budget.bytes(count, until: next) { return share }
      if deadline.isOver {
        _ = fail(ReplError(.transient, subject: subject, cause: "there was no room for what it sent"))
      }
    }
    return nil
  }

  /// Bytes read before the orderly end; nil when the connection failed.
  private func fill(_ bytes: inout [UInt8], until deadline: Deadline) -> Int? {
    let silence = Deadline.after(optional: limits.idleTimeout)
    do throws(ReplError) {
      return try connection.readFully(into: &bytes, until: deadline)
    } catch {
      if error.kind == .transient, min(deadline, silence).isOver { giveUp() } else { _ = fail(error) }
      return nil
    }
  }

  /// Ends a connection on which nothing comes any more.
  private func giveUp() {
    let error = ReplError(
      .transient, subject: subject, cause: "sent nothing for too long",
      remedy: "look whether the agent there runs and the network carries what is sent")
    abandon(CloseNotice(reason: .timedOut, error: error))
  }

  /// False when the frame ends the connection.
  private func accept(_ frame: Arrival) throws(WireError) -> Bool {
    let (header, body) = (frame.header, frame.body)
    guard header.isKnown else { return true }
    if header.flags.contains(.reply) {
      pending.complete(header.requestID, with: FrameReply(type: header.type, flags: header.flags, body: body))
      return true
    }
    if header.type == FrameType.close.rawValue {
      _ = fail(try CloseNotice(bytes: body).received(from: subject))
      return false
    }
    // After the end was announced frames are read only to meet the peer's own end.
    return pending.closed != nil || dispatch(frame)
  }

  /// False when the peer asks so much at once that not even refusals keep up.
  private func dispatch(_ frame: Arrival) -> Bool {
    let header = frame.header
    let isUrgent = limits.urgentTypes.contains(header.type)
    // A job that is dropped with its channel gives back what it holds.
    let place = isUrgent ? nil : limits.budget.request()
    let taken =
      (isUrgent || place != nil)
      && (isUrgent ? urgentWorkers : workers).submit { [self] in
        withExtendedLifetime((place, frame.share)) { answer(header, frame.body) }
      }
    guard !taken else { return true }
    let busy = ReplError(.transient, subject: "request \(header.type)", cause: "too many requests at once")
    // Not from the reading thread: if both ends waited to send from there, neither would read.
    if urgentWorkers.submit({ [self] in refuse(header, busy) }) || pending.closed != nil { return true }
    return !announce(CloseNotice(reason: .refused, error: busy))
  }

  private func answer(_ header: ControlFrameHeader, _ body: [UInt8]) {
    do throws(ReplError) {
      switch try handler(FrameRequest(type: header.type, body: body)) {
      case .reply(let flags, let body): reply(to: header, flags: flags, body: body)
      case .close(let notice): close(notice)
      case .refuseAndClose(let error):
        refuse(header, error)
        close(CloseNotice(reason: ReasonCode(for: error.kind), error: error))
      }
    } catch {
      refuse(header, error)
    }
  }
}

// MARK: ending

extension FrameChannel {
  /// Marks the channel closed; false when it was before.
  private func fail(_ error: ReplError) -> Bool {
    guard pending.close(pendingError(error)) else { return false }
    workers.stop()
    urgentWorkers.stop()
    return true
  }

  /// Marks the channel closed and tells the peer; false when it was before.
  private func announce(_ notice: CloseNotice) -> Bool {
    guard fail(notice.error) else { return false }
    try? send(type: FrameType.close.rawValue, flags: [], id: 0, body: notice.encode())
    return true
  }

  /// Requests in flight may be tried again over another connection, unless trust or the protocol is what failed.
  private func pendingError(_ error: ReplError) -> ReplError {
    guard ![.unauthenticated, .protocolViolation, .transient].contains(error.kind) else { return error }
    return ReplError(.transient, subject: subject, cause: error.cause, remedy: error.remedy)
  }

  private func refusal(in reply: FrameReply) -> ReplError {
    do throws(WireError) {
      if case .refused(let error) = try ControlReply(type: reply.type, body: reply.body, flags: reply.flags) {
        return error
      }
      return ReplError(.protocolViolation, subject: subject, cause: "a refusal without an error")
    } catch {
      close(CloseNotice(error, subject: subject))
      return error.asReplError(subject: subject)
    }
  }
}
