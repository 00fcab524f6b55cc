public import struct Swift.Duration

/// Limits and habits of connections. The defaults are meant for the agent.
public struct TLSOptions: Sendable {
  /// Server: issue tickets. Client: keep and offer them (with a ``TLSSessionStore``). For data streams.
  public var resumption = false
  /// How long a ticket is worth something.
  public var ticketLifetime: Duration = .seconds(3600)
  /// Records sent under one key before it is changed. AES-GCM bears 2^24.5 full ones (RFC 8446, section 5.5).
  public var keyUpdateRecords: UInt64 = 1 << 22
  /// Bytes of records held per direction and connection; memory is touched only as far as it is used.
  public var bufferSize = 256 << 10
  /// From the accepted or connected socket to the end of the handshake.
  public var handshakeTimeout: Duration = .seconds(10)
  /// From the accepted socket until the other end has said what it wants and the server lifts the deadline
  /// (``TLSConnection/setDeadline(_:)``): for all of it, however often a byte comes.
  public var introductionTimeout: Duration = .seconds(15)
  /// How long sent bytes may stay unacknowledged or the peer take none (TCP_USER_TIMEOUT) before the connection is
  /// given up. Longer than a slow disk keeps a receiver from reading.
  public var stallTimeout: Duration = .seconds(120)
  /// Seconds since 1970 by which certificates are judged.
  public var now: @Sendable () -> Int64 = wallClock

  public init() {}
}
