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
  /// Answers in a row that say the work is under way and has not moved, a second or more apart, before it is given up.
  static let standingAnswers = 600
}
