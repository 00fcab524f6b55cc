public import ReplModel
public import WireProtocol

/// The way to one peer's agent, as the source side sees it. Calls block; use dedicated threads. The network has one
/// implementation, the simulation another.
public protocol PeerLink: Sendable {
  /// Cluster id of the peer, as its certificate says.
  var cluster: String { get }
  /// Largest chunk both ends take, in bytes.
  var maxChunk: UInt32 { get }
  /// Sends a request and waits for its reply. A refusal by the peer is thrown as the ``ReplError`` it sent.
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

/// Seconds a request may take: what only looks things up, and what reads or syncs whole files.
public enum RequestTimeout {
  public static let short: Double = 30
  /// A seal re-reads what was shipped; a peer that is alive keeps answering heartbeats meanwhile.
  public static let long: Double = 6 * 3600
}
