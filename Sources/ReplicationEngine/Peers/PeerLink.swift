public import ReplModel
public import WireProtocol

/// The way to one peer's agent, as the source side sees it. Calls block; use dedicated threads. The network has one
/// implementation, the simulation another.
public protocol PeerLink: Sendable {
  /// Cluster id of the peer, as its certificate says.
  var cluster: String { get }
  /// Largest chunk both ends take, in bytes.
  var maxChunk: UInt32 { get }
  /// Sends a request and waits for its reply. An answer that the work is under way comes not sooner than a second after
  /// the request: it is asked for again at once.
  ///
  /// - Throws: `.transient` when the connection fails or `timeout` seconds pass.
  func request(_ request: ControlRequest, timeout: Double) throws(ReplError) -> ControlReply
  /// Opens one data stream for a session with a ticket from its begin reply.
  func openStream(_ begin: BeginReply, session: SessionID, ticket: StreamTicket) throws(ReplError) -> any ChunkLink
}

/// One data stream of a session. Used by one thread, except `cancel`.
public protocol ChunkLink: AnyObject, Sendable {
  /// Ships raw bytes that lie within one segment; digest, compression and framing happen here.
  func sendChunk(_ raw: UnsafeRawBufferPointer, at offset: UInt64) throws(ReplError)
  /// Ships a run of zeros, of any length.
  func sendZeros(_ extent: Extent) throws(ReplError)
  /// Says that the stream is complete and waits until the target has written all of it.
  func finish() throws(ReplError)
  /// Bytes sent so far, framing included.
  var bytesOnWire: UInt64 { get }
  /// Ends the stream at once, from any thread.
  func cancel()
}

/// How long a request is waited for.
public enum RequestTimeout {
  /// Seconds to an answer. What takes longer is answered with how far it is.
  public static let short: Double = 30
  /// Answers in a row that say the work is under way and has not moved before it is given up. A target answers after ten
  /// seconds of work, or at once when many wait, and is asked once a second at most: between ten minutes and 100.
  static let standingAnswers = 600
  /// The same for one who keeps others waiting meanwhile: between twelve seconds and two minutes.
  static let standingAnswersInPlace = 12
  /// Bytes from one answer to the next that count as having moved.
  static let leastMove: UInt64 = 1 << 20
}

extension PeerLink {
  /// Sends a request and picks the reply it must have; another one is the peer's fault. While the peer says that the work
  /// is under way it is asked again, without end as long as the work moves.
  ///
  /// - Parameters:
  ///   - standing: answers in a row that say it has not moved, after which it is given up.
  ///   - underWay: told how far the work is; may throw to stop waiting.
  func ask<Reply>(
    _ request: ControlRequest, timeout: Double = RequestTimeout.short,
    standing limit: Int = RequestTimeout.standingAnswers,
    underWay: (UnderWay) throws(ReplError) -> Void = { (_) throws(ReplError) in }, _ pick: (ControlReply) -> Reply?
  ) throws(ReplError) -> Reply {
    var moved: UInt64 = 0
    var standing = 0
    while true {
      switch try self.request(request, timeout: timeout) {
      case .refused(let error): throw error
      case .underWay(let now):
        // Work that creeps stands: a peer that adds a byte each time is not waited for without end.
        let hasMoved = now.bytesDone >= moved.addingSaturating(RequestTimeout.leastMove)
        standing = hasMoved ? 0 : standing + 1
        if hasMoved { moved = now.bytesDone }
        guard standing < limit else {
          throw ReplError(
            .transient, subject: "peer \(cluster)", cause: "\(request.frameType) has not moved for a long time",
            remedy: "look whether the peer's pools answer")
        }
        try underWay(now)
      case let reply:
        if let wanted = pick(reply) { return wanted }
        throw ReplError(.protocolViolation, subject: "peer \(cluster)", cause: "answered with a reply of another type")
      }
    }
  }
}
