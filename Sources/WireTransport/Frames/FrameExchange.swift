public import ReplModel
public import WireProtocol

/// A request as it arrived.
public struct FrameRequest: Sendable {
  /// Number of a ``FrameType`` this version knows.
  public var type: UInt16
  public var body: [UInt8]

  public init(type: UInt16, body: [UInt8]) {
    self.type = type
    self.body = body
  }
}

/// A reply as it arrived; never one with the error flag, which ``FrameChannel/request(type:body:timeout:)`` throws.
public struct FrameReply: Sendable {
  public var type: UInt16
  public var flags: ControlFrameHeader.Flags
  public var body: [UInt8]

  public init(type: UInt16, flags: ControlFrameHeader.Flags, body: [UInt8]) {
    self.type = type
    self.flags = flags
    self.body = body
  }
}

/// What a handler makes of a request. To refuse one, a handler throws.
public enum FrameAnswer: Sendable {
  /// Flags and body of the reply, as ``WireProtocol/ControlReply/encode()`` gives them; the type is the request's.
  case reply(flags: ControlFrameHeader.Flags, body: [UInt8])
  /// The connection ends with this notice: the request broke the protocol.
  case close(CloseNotice)
  /// The request is refused, and the connection ends with that.
  case refuseAndClose(ReplError)
}

/// Limits of one ``FrameChannel``.
public struct FrameLimits: Sendable {
  /// Threads for requests of the peer; started as they are needed.
  public var workers = 8
  /// Requests that wait for a thread; more are refused as busy.
  public var queuedRequests = 64
  /// What the peer may have under way; one that its connections share, or one of this channel's own. Beyond its bytes
  /// nothing but what is urgent is read until there is room, beyond its requests they are refused as busy.
  public var budget: InboundBudget
  /// What is taken before the peer has introduced itself; nil: everything.
  public var gate: FrameGate?
  /// From the first byte of a frame to its last.
  public var frameTimeout: Duration = .seconds(120)
  /// Own requests in flight.
  public var pendingRequests = 64
  /// Types that a thread of their own answers, so that no slow request holds them up. Their handlers must be quick.
  public var urgentTypes: Set<UInt16> = [FrameType.hello.rawValue, FrameType.heartbeat.rawValue]
  /// Longest silence of the peer before the connection is closed; nil for ever.
  public var idleTimeout: Duration?
  /// Longest time of sending one frame.
  public var writeTimeout: Duration = .seconds(60)

  /// - Parameter budget: nil: one of the channel's own.
  public init(budget: InboundBudget? = nil) { self.budget = budget ?? InboundBudget() }
}
